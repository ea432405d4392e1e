"""What every policy may rely on, whatever it is: when it is asked, and what it hears of trials."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import leases, policies, trials
from core.errors import NoBatchSizeLeft
from core.policies import zeus
from core.policies.protocol import Drift, Learning, Learnt
from core.records import Job, Policy, Report, Trial, TrialStatus
from tests.core.conftest import NOW, Ledger

MakeLedger = Callable[..., Ledger]
Steps = list[tuple[str, int, float]]

HOUR = timedelta(hours=1)
ACTIONS = ("suggest", "begin", "end", "stop", "go on", "wait", "reset")


class Counting(ModuleType):
    """Policy ``zeus``, which counts the trials that it knows to run."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.running: Counter[int] = Counter()
        self.drift: Drift | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(zeus, name)

    def dispatched(self, job: Job, trial: Trial) -> Job:
        """Count one more."""
        self.running[trial.trial_number] += 1
        return job

    def lost(self, job: Job, trial: Trial) -> Job:
        """Count one less."""
        assert trial.status is TrialStatus.FAILED
        self.running[trial.trial_number] -= 1
        return job

    def learn(self, job: Job, ended: Trial) -> Learning:
        """Count one less."""
        self.running[ended.trial_number] -= 1
        learnt = yield from zeus.learn(job, ended)
        return Learnt(learnt.job, learnt.arms, drift=self.drift)

    def started_over(self, job: Job, batch_sizes: Sequence[int]) -> Job:
        """Count none any more."""
        self.running.clear()
        return zeus.started_over(job, batch_sizes)


@contextmanager
def counting() -> Iterator[Counting]:
    """Let every job have a policy that counts."""
    with pytest.MonkeyPatch.context() as patch:
        policy = Counting()
        patch.setitem(policies.POLICIES, Policy.ZEUS, policy)
        yield policy


class Life:
    """A job that its trainings treat in all ways, and the time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now: datetime = NOW

    def act(self, action: str, place: int, metric: float) -> None:
        """Do something with the job, or with one of its last trials."""
        ledger = self.ledger
        chosen = list(ledger.trials.values())[-1 - place % max(len(ledger.trials), 1) :][:1]
        if action == "suggest":
            self._dispatch(trials.suggest(ledger.job, self.now))
        elif action == "begin":
            self._dispatch(trials.begin(ledger.job, ledger.batch_sizes[place % 3], self.now))
        elif action == "wait":
            self.now += HOUR
            self._expire()
        elif action == "reset":
            ledger.reset()
        for trial in chosen:
            if action == "end" and trial.status is TrialStatus.DISPATCHED:
                ledger.job, ledger.trials[trial.trial_number] = trials.end(ledger.job, trial, None, self.now)
            elif action in ("stop", "go on"):
                self._report(trial, 10 if action == "stop" else 1, metric if action == "stop" else 0.0)

    def _dispatch(self, suggestion: trials.Suggestion) -> None:
        suggested = self.ledger.decide(suggestion)
        self.ledger.job = suggested.job
        self.ledger.trials[suggested.trial.trial_number] = suggested.trial
        self.ledger.arms.update((arm.batch_size, arm) for arm in suggested.born)

    def _expire(self) -> None:
        self.ledger.job, over = self.ledger.decide(trials.expire(self.ledger.job, self.now))
        self.ledger.trials.update((trial.trial_number, trial) for trial in over)

    def _report(self, trial: Trial, epoch: int, metric: float) -> None:
        if trial.status is TrialStatus.FAILED and trial.failure_reason != leases.EXPIRED:
            return
        said = Report(trial.job_id, trial.batch_size, trial.trial_number, 1.0, 9.0, metric, epoch)
        reported = self.ledger.decide(trials.report(self.ledger.job, trial, said, self.now))
        self.ledger.job = reported.job or self.ledger.job
        self.ledger.trials[trial.trial_number] = reported.trial or trial

    def running(self) -> set[int]:
        """Return the numbers of the trials that run and count."""
        return {
            number
            for number, trial in self.ledger.trials.items()
            if trial.status is TrialStatus.DISPATCHED and number > self.ledger.job.reset_number
        }


@settings(deadline=None, max_examples=100)
@given(steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.sampled_from([0.1, 0.9]))))
def test_a_policy_knows_which_trials_run(
    make_ledger: MakeLedger, steps: list[tuple[str, int, float]]
) -> None:
    with counting() as policy:
        life = Life(make_ledger(lease_seconds=60.0, max_failures=10**6, beta_knob=None))
        for action, place, metric in steps:
            with suppress(NoBatchSizeLeft):
                life.act(action, place, metric)
            assert {number for number, count in policy.running.items() if count} == life.running()
            assert set(policy.running.values()) <= {0, 1}


def test_what_a_policy_notices_comes_with_the_result(make_ledger: MakeLedger) -> None:
    with counting() as policy:
        policy.drift = Drift(64, 100.0, 150.0)
        ledger = make_ledger()
        ledger.suggest()
        assert ledger.report(1, metric=0.0).drift is None
        assert ledger.report(1).drift == policy.drift


def test_a_job_has_the_policy_zeus_where_it_names_none(make_ledger: MakeLedger) -> None:
    assert policies.of(make_ledger().job) is zeus
