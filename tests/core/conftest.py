"""Builders of records, and a ledger that keeps a job's history in plain dicts."""

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from msgspec.structs import replace

from core import policies, streams, trials
from core.change import change, started_over
from core.cost import cost_of
from core.decisions import settle
from core.history import History, history_of
from core.invariants import audit
from core.kept import Kept
from core.needs import (
    Arms,
    BatchSizes,
    Costing,
    Costs,
    Explorations,
    Leased,
    Need,
    NewestExploration,
    Results,
    RunningSums,
    Stored,
)
from core.records import Arm, Job, Policy, Report, Stage, Trial, TrialStatus, TrialType

if TYPE_CHECKING:
    from core.sums import Sums

T = TypeVar("T")

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
JOB_ID = "resnet-1"


def build_job(**changes: object) -> Job:
    """Return a job whose cost of a report is its energy, seeded, in the pruning stage."""
    members: dict[str, Any] = {
        "job_id": JOB_ID,
        "job_id_prefix": "resnet",
        "default_batch_size": 64,
        "higher_is_better_metric": True,
        "eta_knob": 1.0,
        "beta_knob": 2.0,
        "target_metric": 0.5,
        "max_epochs": 10,
        "num_pruning_rounds": 2,
        "window_size": 0,
        "max_power": 250.0,
        "number_of_gpus": 1,
        "gpu_model": "A40",
        "mab_prior_mean": 0.0,
        "mab_prior_precision": 0.0,
        "mab_num_explorations": 2,
        "mab_seed": 1,
        "lease_seconds": 600.0,
        "max_failures": 3,
        "mab_random_generator_state": streams.seeded(1),
        "exp_default_batch_size": 64,
        "stage": Stage.PRUNING,
        "min_cost": None,
        "min_cost_batch_size": 64,
        "last_trial_number": 0,
    }
    return Job(**members | changes)


def build_trial(**changes: object) -> Trial:
    """Return an exploration that is Dispatched, or Succeeded where ``energy`` says what it cost."""
    members: dict[str, Any] = {
        "job_id": JOB_ID,
        "batch_size": 64,
        "trial_number": 1,
        "start_timestamp": NOW,
        "type": TrialType.EXPLORATION,
        "status": TrialStatus.DISPATCHED,
    }
    if "energy" in changes:
        members |= {"status": TrialStatus.SUCCEEDED, "end_timestamp": NOW, "time": 1.0, "converged": True}
    return Trial(**members | changes)


def build_report(**changes: object) -> Report:
    """Return a report of the first epoch of the first trial that reaches the target."""
    members: dict[str, Any] = {
        "job_id": JOB_ID,
        "batch_size": 64,
        "trial_number": 1,
        "time": 1.0,
        "energy": 100.0,
        "metric": 0.9,
        "current_epoch": 1,
    }
    return Report(**members | changes)


class Ledger:
    """A job's history: settles one decision after the other and keeps what each changes."""

    def __init__(self, job: Job, batch_sizes: Sequence[int]) -> None:
        self.job = job
        self.batch_sizes = sorted(batch_sizes)
        self.trials: dict[int, Trial] = {}
        self.arms: dict[int, Arm] = {}
        self.sums: dict[int, Sums] = {}
        self.asked: list[Stored] = []
        self.now = NOW

    def answer(self, need: Stored) -> object:
        """Answer a need for what is stored."""
        self.asked.append(need)
        answers: dict[type[Stored], Callable[[Any], object]] = {
            BatchSizes: lambda _: self.batch_sizes,
            Explorations: lambda _: self._explorations(),
            NewestExploration: lambda need: self._newest_exploration(need.batch_size),
            Leased: lambda _: self._leased(),
            Arms: lambda _: dict(sorted(self.arms.items())),
            RunningSums: lambda need: self.sums.get(need.batch_size),
            Results: lambda need: self._history(need.batch_size)[-need.window :],
            Costing: lambda need: self._costs(need.job),
        }
        return answers[type(need)](need)

    def _costs(self, job: Job) -> Costs:
        ended = [
            trial
            for trial in self.trials.values()
            if trial.status is TrialStatus.SUCCEEDED and trial.trial_number > self.job.reset_number
        ]
        costs = [cost_of(job, trial.time or 0.0, trial.energy or 0.0) for trial in ended]
        converged = [
            (cost, trial.trial_number, trial.batch_size)
            for cost, trial in zip(costs, ended, strict=True)
            if trial.converged
        ]
        return Costs(min(costs, default=None), max(costs, default=None), min(converged, default=None))

    def _leased(self) -> list[Trial]:
        held = [trial for trial in self.trials.values() if trial.status is TrialStatus.DISPATCHED]
        return sorted(held, key=attrgetter("lease_expires"))

    def _newest_exploration(self, batch_size: int) -> int:
        return max(
            number
            for number, trial in self.trials.items()
            if trial.type is TrialType.EXPLORATION and trial.batch_size == batch_size
        )

    def _explorations(self) -> dict[int, list[Trial]]:
        found: dict[int, list[Trial]] = {}
        for _, trial in sorted(self.trials.items()):
            if trial.type is TrialType.EXPLORATION and trial.status is not TrialStatus.FAILED:
                found.setdefault(trial.batch_size, []).append(trial)
        return found

    def _history(self, batch_size: int) -> History:
        return history_of(trial for _, trial in sorted(self.trials.items()) if trial.batch_size == batch_size)

    def decide(self, decision: Generator[Need, Any, T]) -> T:
        """Settle a decision alone; raise what it raises."""
        [outcome] = settle([decision], lambda wanted: [self.answer(need) for need in wanted])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def suggest(self) -> trials.Suggested:
        """Dispatch a trial."""
        suggested = self.decide(trials.suggest(self.job, self.now))
        self.job = suggested.job
        self.trials[suggested.trial.trial_number] = suggested.trial
        self.arms.update((arm.batch_size, arm) for arm in suggested.born)
        return suggested

    def begin(self, batch_size: int) -> Trial:
        """Dispatch a trial at a batch size."""
        begun = self.decide(trials.begin(self.job, batch_size, self.now))
        self.job = begun.job
        self.trials[begun.trial.trial_number] = begun.trial
        return begun.trial

    def report(self, trial_number: int, **said: object) -> trials.Reported:
        """Report for a trial."""
        trial = self.trials[trial_number]
        report = build_report(batch_size=trial.batch_size, trial_number=trial_number, **said)
        reported = self.decide(trials.report(self.job, trial, report, self.now))
        self.job = reported.job or self.job
        if reported.trial is not None:
            self.trials[trial_number] = reported.trial
        for arm, sums in reported.arms:
            self.arms[arm.batch_size] = arm
            if sums is not None:
                self.sums[arm.batch_size] = sums
        self.arms.update((arm.batch_size, arm) for arm in reported.believed)
        return reported

    def end(self, trial_number: int, reason: str | None = None) -> None:
        """End a running trial, which the policy hears of."""
        self.job, self.trials[trial_number] = trials.end(
            self.job, self.trials[trial_number], reason, self.now
        )

    def expire(self) -> None:
        """Fail the trials whose leases have run out."""
        self.job, failed = self.decide(trials.expire(self.job, self.now))
        self.trials.update((trial.trial_number, trial) for trial in failed)

    def change(self, **terms: float | None) -> None:
        """Give the job other terms."""
        changed = self.decide(change(self.job, terms))
        self.job = changed.job
        self.arms.update((arm.batch_size, arm) for arm in (*(a for a, _ in changed.arms), *changed.believed))
        self.sums.update((arm.batch_size, sums) for arm, sums in changed.arms if sums is not None)

    def reset(self) -> None:
        """Start the job over."""
        self.job = started_over(self.job, self.batch_sizes)
        self.arms.clear()
        self.sums.clear()

    def findings(self) -> list[str]:
        """Return what an audit finds, of a job whose arms live on nothing but what they show."""
        kept = Kept(self.job, self.batch_sizes, list(self.trials.values()), self.arms, {}, {})
        return list(map(str, audit(kept)))

    def fail(self, trial_number: int) -> None:
        """End a trial without a result."""
        self.trials[trial_number] = replace(
            self.trials[trial_number], status=TrialStatus.FAILED, end_timestamp=NOW
        )

    def run(self, energy_of: Callable[[int], float], **said: object) -> Trial:
        """Dispatch a trial and report its end, at the energy of its batch size."""
        trial = self.suggest().trial
        return self.report(trial.trial_number, energy=energy_of(trial.batch_size), **said).trial or trial

    def reach_mab(self, energy_of: Callable[[int], float]) -> trials.Suggested:
        """Explore until a suggestion is made by the bandit; return it."""
        while True:
            suggested = self.suggest()
            if suggested.trial.type is TrialType.MAB:
                return suggested
            trial = suggested.trial
            self.report(trial.trial_number, energy=energy_of(trial.batch_size))


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    return build_job


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., Trial]:
    return build_trial


@pytest.fixture(scope="session")
def make_report() -> Callable[..., Report]:
    return build_report


@pytest.fixture(scope="session")
def make_ledger() -> Callable[..., Ledger]:
    """Return a maker of ledgers: the job's batch sizes, and what its specification says otherwise."""

    def make(batch_sizes: Sequence[int] = (32, 64, 128), **changes: object) -> Ledger:
        return Ledger(build_job(**changes), batch_sizes)

    return make


@pytest.fixture(scope="session")
def make_frugal() -> Callable[..., Ledger]:
    """Return a maker of ledgers of the policy ``frugal``; the default is the middle batch size."""

    def make(batch_sizes: Sequence[int] = (8, 16, 32, 64, 128), **changes: Any) -> Ledger:  # noqa: ANN401
        default = changes.pop("default_batch_size", batch_sizes[len(batch_sizes) // 2])
        job = build_job(
            policy=Policy.FRUGAL,
            default_batch_size=default,
            exp_default_batch_size=default,
            min_cost_batch_size=default,
            **changes,
        )
        return Ledger(policies.of(job).registered(job, batch_sizes, ()), batch_sizes)

    return make
