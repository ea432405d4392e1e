"""A job that recurs in memory: the service's decisions, without a service."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from core import policies, trials
from core.decisions import settle
from core.history import History, history_of
from core.needs import Arms, BatchSizes, Explorations, Need, Results, RunningSums, Stored
from core.records import Arm, Job, Report, Trial, TrialType
from core.sums import Sums  # noqa: TC001  (as everywhere here)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Nothing that is decided here depends on the time: the trials have no leases."""


class Epoch(NamedTuple):
    """Where a training stands: its epoch, seconds and joules since it began, and the metric."""

    number: int
    time: float
    energy: float
    metric: float


class Pipeline:
    """A job, which has no leases, with its history; its trainings come one after the other."""

    def __init__(self, job: Job, batch_sizes: Sequence[int]) -> None:
        self.job = policies.of(job).registered(job, batch_sizes, ())
        self.trials: list[Trial] = []
        self._batch_sizes = batch_sizes
        self._arms: dict[int, Arm] = {}
        self._sums: dict[int, Sums] = {}

    def recur(self, train: Callable[[int], Iterable[Epoch]]) -> Trial:
        """Train once more, at the batch size that is suggested, until told to stop.

        Args:
            train: Returns the epochs of a training at a batch size, at least up to the job's last.

        Raises:
            NoBatchSizeLeft: There is none.
        """
        suggested = self._settled(trials.suggest(self.job, NOW))
        self.job = suggested.job
        self._arms.update((arm.batch_size, arm) for arm in suggested.born)
        running, last = self._judged(suggested.trial, train(suggested.trial.batch_size))
        reported = self._settled(trials.report(self.job, running, last, NOW))
        self.job = reported.job
        ended: Trial = reported.trial
        self.trials.append(ended)
        for arm, sums in reported.arms:
            self._arms[arm.batch_size] = arm
            if sums is not None:
                self._sums[arm.batch_size] = sums
        return ended

    def _judged(self, trial: Trial, epochs: Iterable[Epoch]) -> tuple[Trial, Report]:
        """Return the report that ends a training, and its trial as those before have left it."""
        policy = policies.of(self.job)
        for said in _reports(trial, epochs):
            judged = policy.judge(self.job, trial, said)
            if judged.verdict.stop_train:
                break
            trial = judged.trial
        return trial, said

    def _settled(self, decision: Generator[Need, Any, Any]) -> Any:  # noqa: ANN401  (a suggestion or a report)
        [outcome] = settle([decision], lambda wanted: [self._answer(need) for need in wanted])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _answer(self, need: Stored) -> object:
        """Answer what a decision needs to know."""
        match need:
            case BatchSizes():
                return self._batch_sizes
            case Arms():
                return dict(sorted(self._arms.items()))
            case Explorations():
                return self._explorations()
            case Results():
                return self._results(need)
            case RunningSums():
                return self._sums.get(need.batch_size)
        raise AssertionError(need)  # nothing else is needed where trainings neither fail nor have leases

    def _explorations(self) -> dict[int, list[Trial]]:
        found = defaultdict(list)
        for trial in self.trials:
            if trial.type is TrialType.EXPLORATION:
                found[trial.batch_size].append(trial)
        return found

    def _results(self, need: Results) -> History:
        history = history_of(trial for trial in self.trials if trial.batch_size == need.batch_size)
        return history[-need.window :] if need.window > 0 else history


def _reports(trial: Trial, epochs: Iterable[Epoch]) -> Iterable[Report]:
    return (
        Report(
            trial.job_id,
            trial.batch_size,
            trial.trial_number,
            epoch.time,
            epoch.energy,
            epoch.metric,
            epoch.number,
        )
        for epoch in epochs
    )
