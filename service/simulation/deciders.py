"""Who decides in a simulation: core in memory, and a search whose plan was made before."""

from collections.abc import Sequence

from core.errors import CostOutOfRange, NoBatchSizeLeft
from core.needs import Precedent
from core.records import Job, Policy, Stage
from core.streams import seeded
from service.errors import OpeningError
from service.simulation.pipelines import Pipeline
from service.simulation.recurrences import Decision, Dispatched
from service.simulation.scenarios import Scenario
from service.simulation.trainings import Epoch
from service.simulation.workloads import Workload


class InMemory:
    """Core, with what a service would keep in its database."""

    def __init__(
        self, scenario: Scenario, policy: Policy, seed: int, precedents: Sequence[Precedent] = ()
    ) -> None:
        self._title = scenario.title
        self.pipeline = Pipeline(job_of(scenario, policy, seed), scenario.before.batch_sizes, precedents)

    def suggest(self) -> Dispatched:
        """Return a new trial; see ``recurrences.Decider``."""
        trial = self.pipeline.suggest()
        return Dispatched(trial.batch_size, trial.trial_number)

    def report(self, trial: Dispatched, epoch: Epoch) -> Decision:
        """Take a report."""
        try:
            verdict = self.pipeline.report(trial.trial_number, epoch)
        except CostOutOfRange as error:
            raise OpeningError(f"a run of {self._title} cannot be costed: {error}") from error
        return Decision(verdict.stop_train, verdict.converged)

    def lose(self, trial: Dispatched) -> None:
        """Let a trial end without a result."""
        self.pipeline.lose(trial.trial_number)


class Search:
    """Grid search: each of some batch sizes once, in order, none stopped early; from then on the cheapest.

    Cheapest is the one of the lowest cost among those that reached the target. Who comes before any has takes
    the default, as long as one of the search still runs. Over one batch size it is whoever always takes that
    one, whatever comes of it. It is the twin of ``core.kernels.recurring_grid``.
    """

    def __init__(self, workload: Workload, batch_sizes: Sequence[int], eta: float) -> None:
        self._workload, self._eta = workload, eta
        self._only = batch_sizes[0] if len(batch_sizes) == 1 else None
        self._left = [] if self._only is not None else list(reversed(batch_sizes))
        self._costs: dict[int, float] = {}
        self._last = 0
        self._searching: set[int] = set()

    def suggest(self) -> Dispatched:
        """Return a new trial: the next one of the search or, where all were tried, the cheapest of them."""
        self._last += 1
        if self._only is not None:
            return Dispatched(self._only, self._last)
        if self._left:
            self._searching.add(self._last)
            return Dispatched(self._left.pop(), self._last)
        if self._costs:
            return Dispatched(min(self._costs, key=self._costs.__getitem__), self._last)
        if not self._searching:
            raise NoBatchSizeLeft("no batch size has reached the target")
        return Dispatched(self._workload.default_batch_size, self._last)

    def report(self, trial: Dispatched, epoch: Epoch) -> Decision:
        """Take a report; a training goes on to its end."""
        goal = self._workload.goal
        converged = goal.reached(epoch.metric)
        stop_train = converged or epoch.number >= goal.max_epochs
        if stop_train and trial.trial_number in self._searching:
            self._searching.remove(trial.trial_number)
            if converged:
                self._costs[trial.batch_size] = self._workload.cost(epoch.spent, self._eta)
        return Decision(stop_train, converged)

    def lose(self, trial: Dispatched) -> None:
        """Try a batch size again whose training has died during the search."""
        if trial.trial_number in self._searching:
            self._searching.remove(trial.trial_number)
            self._left.append(trial.batch_size)


def job_of(scenario: Scenario, policy: Policy, seed: int) -> Job:
    """Return a new job, with the service's defaults where the scenario says nothing."""
    workload, terms = scenario.before, scenario.terms
    return Job(
        job_id=workload.title,
        job_id_prefix="",
        default_batch_size=workload.default_batch_size,
        higher_is_better_metric=workload.goal.higher_is_better,
        eta_knob=terms.eta_knob,
        beta_knob=terms.beta_knob,
        target_metric=workload.goal.target_metric,
        max_epochs=workload.goal.max_epochs,
        num_pruning_rounds=terms.num_pruning_rounds,
        window_size=terms.window_size,
        max_power=workload.max_power,
        number_of_gpus=1,
        gpu_model=workload.gpu or "recorded",
        mab_prior_mean=terms.mab_prior_mean,
        mab_prior_precision=terms.mab_prior_precision,
        mab_num_explorations=terms.mab_num_explorations,
        mab_seed=seed,
        lease_seconds=None,
        max_failures=3,
        mab_random_generator_state=seeded(seed),
        exp_default_batch_size=workload.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=workload.default_batch_size,
        last_trial_number=0,
        policy=policy,
    )
