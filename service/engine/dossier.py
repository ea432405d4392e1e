"""What one transaction knows of one job: what it has loaded, and what it has changed."""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Self

from core.records import Arm, Job, Result, Trial, TrialStatus, TrialType
from core.sums import Sums


class Dossier:
    """A job as a batch sees it, from its first command to its last.

    Parts are None until a decision needs them and they are loaded; from then on every change keeps them
    current. ``last_number`` is the highest trial number ever given under the name of a job that is gone.
    """

    def __init__(self, job_id: str, job: Job | None = None, last_number: int = 0) -> None:
        self.job_id = job_id
        self.job = job
        self.last_number = last_number
        self.trials: dict[int, Trial] = {}
        self.batch_sizes: Sequence[int] | None = None
        self.arms: dict[int, Arm] | None = None
        self.explorations: dict[int, Trial] | None = None
        self.results: dict[int, list[Result]] = {}
        self.sums: dict[int, Sums | None] = {}

        self.is_deleted = False
        self.is_new = False
        self.is_changed = False
        self.new_trials: dict[int, Trial] = {}
        self.ended_trials: dict[int, Trial] = {}
        self.new_arms: dict[int, Arm] = {}
        self.refitted_arms: dict[int, Arm] = {}
        self.new_sums: dict[int, Sums] = {}

    def register(self, job: Job, batch_sizes: Sequence[int]) -> None:
        """Let the job exist."""
        self.job, self.batch_sizes, self.is_new = job, batch_sizes, True
        self.arms, self.explorations = {}, {}

    def deleted(self) -> Self:
        """Return a dossier of which nothing is left but the highest trial number."""
        rest = type(self)(self.job_id, None, self.job.last_trial_number if self.job else self.last_number)
        rest.is_deleted = True
        return rest

    def change_job(self, job: Job) -> None:
        """Let the job stand differently."""
        if job is not self.job:
            self.job, self.is_changed = job, True

    def dispatch(self, trial: Trial) -> None:
        """Add a trial."""
        self.new_trials[trial.trial_number] = trial
        self._know(trial)

    def end(self, trial: Trial) -> None:
        """Let a trial end as it says."""
        changed = self.new_trials if trial.trial_number in self.new_trials else self.ended_trials
        changed[trial.trial_number] = trial
        self._know(trial)
        results = self.results.get(trial.batch_size)
        if results is not None and trial.time is not None and trial.energy is not None:
            insort(results, Result(trial.trial_number, trial.time, trial.energy))

    def _know(self, trial: Trial) -> None:
        self.trials[trial.trial_number] = trial
        if self.explorations is not None and trial.type is TrialType.EXPLORATION:
            self.explorations[trial.trial_number] = trial

    def explorations_by_size(self) -> dict[int, list[Trial]]:
        """Return the loaded explorations that have not failed: by batch size, ascending by trial number."""
        grouped: dict[int, list[Trial]] = {}
        for _, trial in sorted((self.explorations or {}).items()):
            if trial.status is not TrialStatus.FAILED:
                grouped.setdefault(trial.batch_size, []).append(trial)
        return grouped

    def bear(self, arms: Iterable[Arm]) -> None:
        """Add arms, ascending by batch size."""
        for arm in arms:
            self.new_arms[arm.batch_size] = arm
            if self.arms is not None:
                self.arms[arm.batch_size] = arm

    def learn(self, arm: Arm, sums: Sums | None) -> None:
        """Give an arm its new posterior and, where it lives on them, its new sums."""
        changed = self.new_arms if arm.batch_size in self.new_arms else self.refitted_arms
        changed[arm.batch_size] = arm
        if self.arms is not None:
            self.arms[arm.batch_size] = arm
        if sums is not None:
            self.sums[arm.batch_size] = self.new_sums[arm.batch_size] = sums
