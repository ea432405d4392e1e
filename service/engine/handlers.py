"""What each command does to a job.

A handler is a decision as ``core.decisions`` settles it. It changes the dossier only after the last thing
that can fail, so that a command which raises has changed nothing; that a lease has run out is nobody's doing.
"""

from collections.abc import Generator
from datetime import datetime
from typing import Any

from core import leases, trials
from core.errors import CoreError
from core.needs import Need
from core.records import Job, Trial, TrialStatus, Verdict
from service import errors
from service.engine import steering
from service.engine.commands import (
    Beat,
    Begin,
    Change,
    Command,
    Delete,
    End,
    Expire,
    Lease,
    Pause,
    Register,
    Reset,
    Suggest,
    Tell,
)
from service.engine.dossier import Dossier
from service.engine.narration import tell_dispatched, tell_drift, tell_ended
from service.engine.steering import existing

Handling = Generator[Need, Any, object]


def handle(dossiers: dict[str, Dossier], command: Command, now: datetime) -> Handling:
    """Carry a command out on the dossier of its job; return its answer.

    Raises:
        ServiceError: The command is refused.
    """
    dossier = dossiers[command.job_id]
    try:
        match command:
            case Suggest() | Begin():
                return (yield from dispatch(dossier, command, now))
            case Tell():
                return (yield from tell(dossier, command, now))
            case End():
                end(dossier, command, now)
            case Beat():
                return beat(dossier, command, now)
            case Expire():
                yield from expire(dossier, now)
            case Delete():
                dossiers[command.job_id] = steering.delete(dossier)
            case Register() | Reset() | Change() | Pause():
                return (yield from steering.steer(dossier, command))
    except CoreError as error:
        raise errors.from_core(error) from error
    return None


def dispatch(dossier: Dossier, command: Suggest | Begin, now: datetime) -> Generator[Need, Any, Trial]:
    """Dispatch a new trial, whose batch size is chosen once those whose leases have run out are over."""
    if isinstance(command, Begin):
        job = existing(dossier)
        suggested = yield from trials.begin(job, command.batch_size, now)
    else:
        _registered(dossier)
        yield from expire(dossier, now)  # whether or not a batch size is left then
        job = _registered(dossier)
        suggested = yield from trials.suggest(job, now)
    dossier.change_job(suggested.job)
    dossier.bear(suggested.born)
    dossier.dispatch(suggested.trial, suggested.rationale)
    tell_dispatched(dossier, job, suggested.job, suggested.trial, suggested.rationale)
    return suggested.trial


def expire(dossier: Dossier, now: datetime) -> Generator[Need, Any, None]:
    """Fail the trials whose leases have run out; a job that is gone has none."""
    before = dossier.job
    if before is None:
        return
    job, expired = yield from trials.expire(before, now)
    for trial in expired:
        dossier.change_trial(trial)
        tell_ended(dossier, before, job, trial)
    dossier.change_job(job)


def tell(dossier: Dossier, command: Tell, now: datetime) -> Generator[Need, Any, Verdict]:
    """Judge a report, keep the trial's lease and, where the report ends it, learn from it."""
    yield from expire(dossier, now)  # a failure before this result must not count after it
    job = _registered(dossier)
    trial = dossier.trial_of(command.trial_number)
    if trial is None or trial.batch_size != command.report.batch_size:
        raise errors.UnknownTrial(
            f"Unknown trial: job({job.job_id}) has no trial({command.trial_number}) at batch size "
            f"{command.report.batch_size}; report what GET /jobs/batch_size answered."
        )
    reported = yield from trials.report(job, trial, command.report, now)
    if reported.job is not None:
        dossier.change_job(reported.job)
    if reported.trial is not None and reported.trial is not trial:
        dossier.change_trial(reported.trial)
        if reported.trial.status is TrialStatus.SUCCEEDED:
            tell_ended(dossier, job, reported.job or job, reported.trial)
    if reported.drift is not None:
        tell_drift(dossier, trial, reported.drift)
    for arm, sums in reported.arms:
        dossier.learn(arm, sums)
    dossier.believe(reported.believed)
    return reported.verdict


def end(dossier: Dossier, command: End, now: datetime) -> None:
    """End a trial; one that is still Dispatched has failed."""
    trial = dossier.trial_of(command.trial_number)
    if dossier.job is None or trial is None or trial.batch_size != command.batch_size:
        raise errors.TrialNotFound(
            f"Could not find the trial: job({command.job_id}) has no trial({command.trial_number}) at batch "
            f"size {command.batch_size}."
        )
    if trial.status is not TrialStatus.DISPATCHED:
        return
    job, failed = trials.end(dossier.job, trial, command.reason, now)
    tell_ended(dossier, dossier.job, job, failed)
    dossier.change_job(job)
    dossier.change_trial(failed)


def beat(dossier: Dossier, command: Beat, now: datetime) -> Lease:
    """Renew the lease of a running trial."""
    job = existing(dossier)
    trial = dossier.trial_of(command.trial_number)
    if trial is None:
        raise errors.TrialNotFound(
            f"Could not find the trial: job({command.job_id}) has no trial({command.trial_number})."
        )
    if trial.status is not TrialStatus.DISPATCHED or leases.has_expired(trial, now):
        raise errors.TrialOver(_over(trial))
    beaten = leases.beaten(job, trial, now)
    if beaten is not trial:
        dossier.change_trial(beaten)
        dossier.change_job(leases.watched(job, beaten))
    return Lease(job.job_id, beaten.trial_number, job.lease_seconds, beaten.lease_expires)


def _over(trial: Trial) -> str:
    """Return what a training is to do whose trial is over while it sends heartbeats."""
    if trial.status is TrialStatus.SUCCEEDED:
        return f"Trial({trial.trial_number}) has its result: stop the training."
    if trial.status is TrialStatus.DISPATCHED or trial.failure_reason == leases.EXPIRED:
        return (
            f"The lease of trial({trial.trial_number}) has run out. Where its training goes on, report all "
            "the same: its result is kept, marked late."
        )
    reason = trial.failure_reason or "no reason given"
    return (
        f"Trial({trial.trial_number}) was ended ({reason}): stop the training, or ask for a new batch size."
    )


def _registered(dossier: Dossier) -> Job:
    if dossier.job is None:
        raise errors.UnknownJob(f"Unknown job({dossier.job_id}). Please register the job first.")
    return dossier.job
