"""What one transaction knows of one job: what it has read, and what it has changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from core.cost import cost_of
from core.history import History, history_of
from core.needs import Costs, Precedent
from core.rationale import Rationale
from core.records import Arm, Job, Trial, TrialStatus, TrialType
from core.sums import MOST_REFITTED, Sums
from service.store.happening import Kind
from service.store.writing import Kept

MOST_KEPT = MOST_REFITTED
"""Beyond so many results, which only a window can have, what is kept would be written too often."""


NONE = history_of(())


class Dossier:
    """A job as a batch sees it, from its first command to its last.

    What is read stays as it was read, None until then; changes are kept apart, and each question is answered
    with the changes laid over what was read, so that it does not matter which came first. ``last_number`` is
    the highest trial number ever given under the name of a job that is gone; ``kept`` are the batch sizes
    whose results are kept beside their arms.
    """

    def __init__(self, job_id: str, last_number: int = 0) -> None:
        self.job_id = job_id
        self.job: Job | None = None
        self.last_number = last_number

        self.read_trials: dict[int, Trial] = {}
        self.read_batch_sizes: Sequence[int] | None = None
        self.read_arms: Mapping[int, Arm] | None = None
        self.read_explorations: Mapping[int, Trial] | None = None
        self.read_leased: Mapping[int, Trial] | None = None
        self.read_newest: dict[int, int] = {}
        self.read_histories: dict[tuple[int, int], History] = {}
        self.read_sums: dict[int, Sums | None] = {}
        self.read_costs = Costs(None, None, None)
        self.read_precedents: Sequence[Precedent] = ()
        self.kept: set[int] = set()

        self.is_deleted = False
        self.is_new = False
        self.is_changed = False
        self.is_reset = False
        self.has_new_terms = False
        self.has_new_window = False
        self.changed_trials: dict[int, Trial] = {}
        self.changed_arms: dict[int, Arm] = {}
        self.believed: dict[int, Arm] = {}
        self.changed_sums: dict[int, Sums] = {}
        self.refitted: set[int] = set()
        self.rationales: dict[int, Rationale] = {}
        self.happened: list[tuple[Kind, dict[str, Any]]] = []
        self.born: set[int] = set()

    def register(self, job: Job, batch_sizes: Sequence[int]) -> None:
        """Let the job exist; whatever the database has under its name is another's."""
        self.job, self.is_new = job, True
        self.read_batch_sizes, self.read_explorations, self.read_leased = batch_sizes, {}, {}
        self.read_newest = dict.fromkeys(batch_sizes, 0)
        self._know_no_arms(batch_sizes)

    def reset(self, job: Job, batch_sizes: Sequence[int]) -> None:
        """Let the job start over: whatever its arms have learnt is gone."""
        self.job, self.is_changed, self.is_reset = job, True, True
        self._know_no_arms(batch_sizes)
        for part in (
            self.kept,
            self.changed_arms,
            self.changed_sums,
            self.refitted,
            self.born,
            self.believed,
        ):
            part.clear()

    def _know_no_arms(self, batch_sizes: Sequence[int]) -> None:
        self.read_arms = {}
        self.read_histories = {}
        self.read_costs = Costs(None, None, None)
        self.read_sums = dict.fromkeys(batch_sizes)

    def deleted(self) -> Self:
        """Return a dossier of which nothing is left but the highest trial number."""
        rest = type(self)(self.job_id, self.job.last_trial_number if self.job else self.last_number)
        rest.is_deleted = True
        rest.happened = self.happened
        return rest

    def change_job(self, job: Job) -> None:
        """Let the job stand differently."""
        if job is not self.job:
            self.job, self.is_changed = job, True

    def change_terms(self, job: Job) -> None:
        """Let the job have other terms; with another window what is kept of its results does not fit."""
        if self.job is not None and max(job.window_size, 0) != max(self.job.window_size, 0):
            self.has_new_window = True
            self.changed_sums.clear()
            self.kept.clear()
        self.has_new_terms = True
        self.change_job(job)

    def keeps(self, window: int) -> bool:
        """Tell whether what the database keeps beside arms are the results of a window."""
        return not self.has_new_window and self.job is not None and window == max(self.job.window_size, 0)

    def happen(self, kind: Kind, **detail: object) -> None:
        """Let those who watch know of something that has happened."""
        self.happened.append((kind, detail))

    def dispatch(self, trial: Trial, rationale: Rationale) -> None:
        """Add a trial, and why it has its batch size."""
        self.changed_trials[trial.trial_number] = trial
        self.rationales[trial.trial_number] = rationale

    def change_trial(self, trial: Trial) -> None:
        """Let a trial stand differently."""
        self.changed_trials[trial.trial_number] = trial

    def bear(self, arms: Iterable[Arm]) -> None:
        """Add arms."""
        for arm in arms:
            self.changed_arms[arm.batch_size] = arm
            self.born.add(arm.batch_size)

    def learn(self, arm: Arm, sums: Sums | None) -> None:
        """Give an arm its new posterior and, where it lives on them, its new sums."""
        self.changed_arms[arm.batch_size] = arm
        if sums is None:
            self.refitted.add(arm.batch_size)
        else:
            self.changed_sums[arm.batch_size] = sums

    def believe(self, arms: Iterable[Arm]) -> None:
        """Take arms in place of those of their batch sizes, there before or not."""
        self.believed.update((arm.batch_size, arm) for arm in arms)

    def trial_of(self, number: int) -> Trial | None:
        """Return a trial that a command names, None where there is no such trial."""
        return self.changed_trials.get(number) or self.read_trials.get(number)

    def arms(self) -> dict[int, Arm]:
        """Return the arms by batch size, ascending."""
        return dict(sorted({**(self.read_arms or {}), **self.changed_arms, **self.believed}.items()))

    def explorations(self) -> dict[int, list[Trial]]:
        """Return the explorations since the reset that have not failed: by batch size, then trial number."""
        grouped: dict[int, list[Trial]] = {}
        for _, trial in sorted({**(self.read_explorations or {}), **self.changed_trials}.items()):
            is_exploration = trial.type is TrialType.EXPLORATION and trial.status is not TrialStatus.FAILED
            if is_exploration and trial.trial_number > self._reset_number:
                grouped.setdefault(trial.batch_size, []).append(trial)
        return grouped

    def newest_exploration(self, batch_size: int) -> int:
        """Return the highest number of an exploration of a batch size, failed ones too."""
        changed = (
            number
            for number, trial in self.changed_trials.items()
            if trial.type is TrialType.EXPLORATION and trial.batch_size == batch_size
        )
        return max(self.read_newest[batch_size], *changed, 0)

    def leased(self) -> list[Trial]:
        """Return the running trials that hold leases, the one that ends first being first."""
        trials = {**(self.read_leased or {}), **self.changed_trials}.values()
        held = (
            (trial.lease_expires, trial.trial_number, trial)
            for trial in trials
            if trial.status is TrialStatus.DISPATCHED and trial.lease_expires is not None
        )
        return [trial for _, _, trial in sorted(held)]

    @property
    def _reset_number(self) -> int:
        return self.job.reset_number if self.job is not None else 0

    def history(self, batch_size: int, window: int) -> History:
        """Return the newest ``window`` results (0: all) of a batch size, ascending by trial number."""
        changed = [
            trial
            for number, trial in self.changed_trials.items()
            if trial.batch_size == batch_size and number > self._reset_number
        ]
        read = NONE if self.knows_results else self.read_histories[batch_size, window]
        results = np.concatenate([read, history_of(changed)])
        return results[results[:, 0].argsort()][-window:]  # the last 0 are all

    def changed_histories(self) -> Iterator[Kept]:
        """Go through what is to be kept of the histories of arms: those on which they are still refitted."""
        window = max(self.job.window_size, 0) if self.job is not None else 0
        for size in sorted((self.refitted - self.changed_sums.keys()) if window <= MOST_KEPT else ()):
            yield Kept(self.job_id, size, self.history(size, window), size not in self.kept)
        for size in sorted(self.kept & self.changed_sums.keys()):
            yield Kept(self.job_id, size, None, is_new=False)

    def sums_of(self, batch_size: int) -> Sums | None:
        """Return the running sums of a batch size, None where it has none, or what is kept is of no use."""
        kept = None if self.has_new_window else self.read_sums[batch_size]
        return self.changed_sums.get(batch_size) or kept

    @property
    def knows_results(self) -> bool:
        """Tell whether no result counts that is not among the changed trials: the job has just begun."""
        return self.is_new or self.is_reset

    def costs(self, job: Job) -> Costs:
        """Return what the results since the reset cost under the terms of a job."""
        results = [
            (cost_of(job, trial.time, trial.energy), number, trial)
            for number, trial in self.changed_trials.items()
            if number > self._reset_number and trial.time is not None and trial.energy is not None
        ]
        read = self.read_costs
        every = [cost for cost, _, _ in results]
        converged = [(cost, number, trial.batch_size) for cost, number, trial in results if trial.converged]
        return Costs(
            min((cost for cost in (read.lowest, *every) if cost is not None), default=None),
            max((cost for cost in (read.highest, *every) if cost is not None), default=None),
            min((one for one in (read.cheapest, *converged) if one is not None), default=None),
        )
