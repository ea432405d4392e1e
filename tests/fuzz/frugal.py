"""A job of the policy ``frugal`` in the model of the protocol.

What it decides is what core decides: it is the service around it, its store above all, that is held against
it.
"""

from typing import Any

from msgspec.structs import replace

from core.errors import NoBatchSizeLeft
from core.policies import frugal
from core.policies.knowledge import Knowledge, read
from core.records import Failures, Report, Specification, Stage, TrialStatus, TrialType
from core.records import Job as Record
from core.records import Trial as TrialRecord
from core.streams import seeded
from service.clock import utc_now
from tests.fuzz.job import Job
from tests.fuzz.outcomes import Answer, Body, Dispatch, Refusal, Trial


class Frugal(Job):
    """A registered job, whose seed is known."""

    def __init__(self, specification: Body, last_number: int) -> None:
        self._record = frugal.registered(record_of(specification), specification["batch_sizes"], ())
        super().__init__(specification, last_number)

    @property
    def known(self) -> Knowledge:
        """What is known of it."""
        return read(self._record.knowledge or "")

    def start_over(self) -> None:
        """Let nothing count that was before."""
        super().start_over()
        self.is_in_bandit = True
        self._record = frugal.started_over(self._record, self.specification["batch_sizes"])

    def suggest(self) -> Dispatch | Refusal:
        """Dispatch a trial."""
        try:
            proposal = outcome_of(frugal.suggest(self._current()))
        except NoBatchSizeLeft:
            return self._no_size_left()
        self._record = proposal.job
        return self._dispatch(proposal.type.value, proposal.batch_size)

    def change(self, terms: Body) -> Answer | Refusal:
        """Go on under other terms."""
        before = self._current()
        answer = super().change(terms)
        if isinstance(answer, Answer):
            changed = replace(before, **{name: self.specification[name] for name in terms})
            self._record = outcome_of(frugal.retune(before, changed)).job
        return answer

    def fail(self, trial: Trial, reason: str | None) -> None:
        """End a trial."""
        was_running = trial.status == "Dispatched"
        super().fail(trial, reason)
        if was_running:
            trial.curve = None
            if trial.number > self.reset_number:
                self._record = frugal.lost(self._current(), trial_of(trial))

    def _dispatch(self, kind: str, *batch_sizes: int) -> Dispatch:
        dispatch = super()._dispatch(kind, *batch_sizes)
        [dispatch.trial.batch_size] = batch_sizes
        self._record = frugal.dispatched(self._current(), trial_of(dispatch.trial))
        return dispatch

    def _judged(self, trial: Trial, said: Body, cost: float) -> tuple[str, bool, bool]:  # noqa: ARG002
        numbers = (said["time"], said["energy"], said["metric"], said["current_epoch"])
        report = Report(self.specification["job_id"], trial.batch_size, trial.number, *numbers)
        judged = frugal.judge(self._current(), trial_of(trial), report)
        trial.curve = judged.trial.curve
        return judged.verdict.message, judged.verdict.stop_train, judged.verdict.converged

    def _learn(self, trial: Trial, cost: float) -> None:
        super()._learn(trial, cost)
        if trial.number > self.reset_number:
            learnt = outcome_of(frugal.learn(self._current(), trial_of(trial)))
            self._record = learnt.job
            self.arms = {size: seen.results for size, seen in self.known.seen.items()}
        trial.curve = None

    def _count(self, size: int) -> None:
        """Leave an arm as the policy has it."""

    def _current(self) -> Record:
        failures = {size: Failures(thirds, None) for size, thirds in self.thirds_failed.items()}
        return replace(
            self._record, last_trial_number=self.last_number, is_paused=self.is_paused, failures=failures
        )


def outcome_of(decision: Any) -> Any:  # noqa: ANN401  (what a decision returns, which needs nothing)
    """Return what a decision comes to that needs nothing from outside.

    Raises:
        CoreError: It is refused.
    """
    try:
        raise AssertionError(next(decision))
    except StopIteration as end:
        return end.value


def record_of(specification: Body) -> Record:
    """Return a new job as core has it."""
    names = set(Specification.__struct_fields__) - {"batch_sizes"}
    return Record(
        **{name: value for name, value in specification.items() if name in names},
        mab_random_generator_state=seeded(specification["mab_seed"]),
        exp_default_batch_size=specification["default_batch_size"],
        stage=Stage.MAB,
        min_cost=None,
        min_cost_batch_size=specification["default_batch_size"],
        last_trial_number=0,
    )


def trial_of(trial: Trial) -> TrialRecord:
    """Return a trial as core has it, as far as the policy reads it."""
    return TrialRecord(
        job_id="",
        batch_size=trial.batch_size,
        trial_number=trial.number,
        start_timestamp=utc_now(),
        type=TrialType(trial.kind),
        status=TrialStatus(trial.status),
        time=trial.time,
        energy=trial.energy,
        converged=trial.converged,
        epochs=trial.epochs,
        curve=trial.curve,
    )
