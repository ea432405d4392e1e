"""A job that recurs in memory: the service's decisions, without a service."""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from core import policies, trials
from core.decisions import settle
from core.history import History
from core.needs import (
    Arms,
    BatchSizes,
    Explorations,
    Need,
    NewestExploration,
    Precedent,
    Results,
    RunningSums,
    Stored,
)
from core.records import Arm, Job, Report, Trial, TrialType, Verdict
from core.sums import Sums  # noqa: TC001  (as everywhere here)
from service.simulation.trainings import Epoch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Nothing that is decided here depends on the time: the trials have no leases."""


class Pipeline:
    """A job, which has no leases, with its history; any number of its trainings may run side by side."""

    def __init__(self, job: Job, batch_sizes: Sequence[int], precedents: Sequence[Precedent] = ()) -> None:
        self.job = policies.of(job).registered(job, batch_sizes, precedents)
        self.trials: list[Trial] = []
        """Those that have ended with a result, in the order in which they ended."""
        self._batch_sizes = batch_sizes
        self._explorations: dict[int, dict[int, Trial]] = defaultdict(dict)
        self._results: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
        self._running: dict[int, Trial] = {}
        self._arms: dict[int, Arm] = {}
        self._sums: dict[int, Sums] = {}

    def recur(self, train: Callable[[int], Iterable[Epoch]]) -> Trial:
        """Train once more, at the batch size that is suggested, until told to stop.

        Args:
            train: Returns the epochs of a training at a batch size, at least up to the job's last.

        Raises:
            NoBatchSizeLeft: There is none.
        """
        trial = self.suggest()
        for epoch in train(trial.batch_size):
            if self.report(trial.trial_number, epoch).stop_train:
                break
        return self.trials[-1]

    def suggest(self) -> Trial:
        """Return a new trial, which runs from now on.

        Raises:
            NoBatchSizeLeft: There is none.
        """
        suggested = self._settled(trials.suggest(self.job, NOW))
        self.job = suggested.job
        self._arms.update((arm.batch_size, arm) for arm in suggested.born)
        self._keep(suggested.trial)
        trial: Trial = suggested.trial
        return trial

    def report(self, number: int, epoch: Epoch) -> Verdict:
        """Take a report of a running trial, by its number; it has ended where it is to stop.

        Raises:
            CostOutOfRange: The reported cost is not a cost.
        """
        trial = self._running[number]
        said = Report(
            trial.job_id, trial.batch_size, number, epoch.time, epoch.energy, epoch.metric, epoch.number
        )
        reported = self._settled(trials.report(self.job, trial, said, NOW))
        self.job = reported.job
        if reported.trial is not None:
            self._keep(reported.trial)
        if reported.verdict.stop_train:
            self._end(reported.trial)
        for arm, sums in reported.arms:
            self._arms[arm.batch_size] = arm
            if sums is not None:
                self._sums[arm.batch_size] = sums
        verdict: Verdict = reported.verdict
        return verdict

    def lose(self, number: int) -> None:
        """Let a running trial, by its number, end without a result."""
        self.job, failed = trials.end(self.job, self._running.pop(number), None, NOW)
        self._explorations[failed.batch_size].pop(number, None)

    def _keep(self, trial: Trial) -> None:
        if trial.type is TrialType.EXPLORATION:
            self._explorations[trial.batch_size][trial.trial_number] = trial
        self._running[trial.trial_number] = trial

    def _end(self, trial: Trial) -> None:
        self.trials.append(trial)
        del self._running[trial.trial_number]
        insort(self._results[trial.batch_size], (trial.trial_number, trial.time or 0.0, trial.energy or 0.0))

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
                return {size: list(seen.values()) for size, seen in self._explorations.items() if seen}
            case Results():
                return self._history(need)
            case RunningSums():
                return self._sums.get(need.batch_size)
            case NewestExploration():
                return max(self._explorations[need.batch_size], default=0)
        raise AssertionError(need)  # nothing else is needed where trials have no leases

    def _history(self, need: Results) -> History:
        seen = self._results[need.batch_size]
        return np.array(seen[-need.window :] if need.window > 0 else seen, dtype=np.float64).reshape(-1, 3)
