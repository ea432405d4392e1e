"""What a policy makes of workloads: chosen batch sizes, regret and savings, over several seeds."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

import numpy as np
from msgspec import Struct

from core.cost import cost_of
from core.errors import CostOutOfRange, NoBatchSizeLeft
from core.records import Job, Policy, Stage, Trial
from core.streams import seeded
from service.errors import OpeningError
from service.simulation.pipelines import Epoch, Pipeline
from service.simulation.recordings import Run, Spending, Workload

LAST = 10
"""Recurrences at the end that show what was learned."""
MOST_TRIES = 100
"""Trainings of one recurrence after which it is given up."""
TARGET = 0.5
"""Runs are recorded without their metric: it is 1 where the target is reached, else 0."""


class Plan(Struct, frozen=True):
    """What to simulate: so many recurrences of each workload, once a seed from 0 up."""

    policy: Policy
    recurrences: int
    seeds: int
    eta_knob: float
    beta_knob: float | None


class Story(Struct, frozen=True):
    """One job: what its trainings took, failed ones too, and the batch sizes of its last ones.

    ``is_stuck``: it had no batch size left, or never came to an end.
    """

    spent: Spending
    last: list[int]
    is_stuck: bool


class Spread(Struct, frozen=True):
    """The median over the seeds, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Return the spread of values, None of none and of what is not finite."""
        if not values or not all(map(math.isfinite, values)):
            return None
        return cls(median(values), min(values), max(values))


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a workload.

    ``chosen`` is the share of each batch size in the last trainings of all seeds, ``regret`` what was spent
    beyond what the best batch size would have taken, in trainings of that. ``saved_cost`` and those beside it
    are shares of what the default batch size would have taken; None where that never reaches its target.
    ``stuck`` seeds ended without a batch size and count in nothing else.
    """

    workload: str
    default_batch_size: int
    best_batch_size: int
    chosen: dict[int, float]
    regret: Spread | None
    saved_cost: Spread | None
    saved_energy: Spread | None
    saved_time: Spread | None
    stuck: int


def simulate(workloads: Iterable[Workload], plan: Plan, advance: Callable[[int], None]) -> Iterator[Outcome]:
    """Let every workload recur, once a seed; tell each seed that is over.

    Raises:
        OpeningError: A workload has no batch size that ever reaches its target, or a run no cost.
    """
    for workload in workloads:
        best = best_of(workload, plan)
        stories = []
        for seed in range(plan.seeds):
            stories.append(story_of(workload, plan, seed))
            advance(1)
        yield _outcome(workload, plan, best, stories)


def cost(workload: Workload, plan: Plan, spent: Spending) -> float:
    """Return the cost of what was spent, in joules."""
    return cost_of(_job(workload, plan, 0), spent.time, spent.energy)


def best_of(workload: Workload, plan: Plan) -> int:
    """Return the batch size that reaches the target at the lowest cost on average.

    Raises:
        OpeningError: None ever does.
    """
    expected = {size: workload.expected(size) for size in workload.batch_sizes}
    reaching = {size: spent for size, spent in expected.items() if math.isfinite(spent.time)}
    if not reaching:
        raise OpeningError(f"no run of {workload.name} reaches its target; record one that does")
    return min(reaching, key=lambda size: cost(workload, plan, reaching[size]))


def story_of(workload: Workload, plan: Plan, seed: int) -> Story:
    """Let a job recur until it has reached its target so many times; failed trainings are repeated.

    Raises:
        OpeningError: A run has no cost.
    """
    rng = np.random.default_rng([seed, *workload.name.encode()])
    pipeline = Pipeline(_job(workload, plan, seed), workload.batch_sizes)

    def train(batch_size: int) -> Iterator[Epoch]:
        runs = workload.runs[batch_size]
        return epochs_of(runs[int(rng.integers(len(runs)))], pipeline.job.max_epochs)

    is_stuck = False
    try:
        for _ in range(plan.recurrences):
            tries = (pipeline.recur(train) for _ in range(MOST_TRIES))
            is_stuck = not any(trial.converged for trial in tries)
            if is_stuck:
                break
    except NoBatchSizeLeft:
        is_stuck = True
    except CostOutOfRange as error:
        raise OpeningError(f"a run of {workload.name} cannot be costed: {error}") from error
    last = [trial.batch_size for trial in pipeline.trials[-LAST:]]
    return Story(spent_on(pipeline.trials), last, is_stuck)


def epochs_of(run: Run, max_epochs: int) -> Iterator[Epoch]:
    """Go through a run; at its end it has reached its target, or run out of epochs."""
    for part in range(1, run.parts):
        yield Epoch(part, part * run.part_time, part * run.part_energy, 0.0)
    yield Epoch(run.parts if run.converged else max_epochs, *run.whole, float(run.converged))


def spent_on(trials: Iterable[Trial]) -> Spending:
    """Return what trials took together."""
    measured = [(trial.time or 0.0, trial.energy or 0.0) for trial in trials]
    return Spending(math.fsum(time for time, _ in measured), math.fsum(energy for _, energy in measured))


def _outcome(workload: Workload, plan: Plan, best: int, stories: Sequence[Story]) -> Outcome:
    ended = [story for story in stories if not story.is_stuck]
    chosen = Counter(size for story in ended for size in story.last)
    usual = workload.expected(workload.default_batch_size)
    cheapest = cost(workload, plan, workload.expected(best))
    spent = [cost(workload, plan, story.spent) for story in ended]

    def saved(spendings: Iterable[float], usual: float) -> Spread | None:
        if not 0 < usual < math.inf:
            return None
        return Spread.of([1 - each / (plan.recurrences * usual) for each in spendings])

    return Outcome(
        workload=workload.name,
        default_batch_size=workload.default_batch_size,
        best_batch_size=best,
        chosen={size: times / chosen.total() for size, times in chosen.most_common()},
        regret=Spread.of([each / cheapest - plan.recurrences for each in spent]),
        saved_cost=saved(spent, cost(workload, plan, usual)),
        saved_energy=saved((story.spent.energy for story in ended), usual.energy),
        saved_time=saved((story.spent.time for story in ended), usual.time),
        stuck=len(stories) - len(ended),
    )


def _job(workload: Workload, plan: Plan, seed: int) -> Job:
    """Return a new job, with the service's defaults where the plan says nothing."""
    return Job(
        job_id=workload.name,
        job_id_prefix="",
        default_batch_size=workload.default_batch_size,
        higher_is_better_metric=True,
        eta_knob=plan.eta_knob,
        beta_knob=plan.beta_knob,
        target_metric=TARGET,
        max_epochs=max(run.parts for runs in workload.runs.values() for run in runs),
        num_pruning_rounds=2,
        window_size=0,
        max_power=workload.max_power,
        number_of_gpus=1,
        gpu_model="recorded",
        mab_prior_mean=0.0,
        mab_prior_precision=0.0,
        mab_num_explorations=2,
        mab_seed=seed,
        lease_seconds=None,
        max_failures=3,
        mab_random_generator_state=seeded(seed),
        exp_default_batch_size=workload.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=workload.default_batch_size,
        last_trial_number=0,
        policy=plan.policy,
    )
