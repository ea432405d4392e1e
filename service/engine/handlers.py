"""What each command does to a job.

A handler is a decision as ``core.decisions`` settles it. It changes the dossier only after the last thing
that can fail, so that a command which raises has changed nothing; that a lease has run out is nobody's doing.
"""

from collections.abc import Generator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from core import failures, leases, needs, streams, zeus
from core.errors import CoreError
from core.needs import Need
from core.records import Job, Specification, Stage, Terms, Trial, TrialStatus, Verdict
from service import errors
from service.engine.commands import (
    Beat,
    Begin,
    Command,
    Delete,
    End,
    Expire,
    Lease,
    Register,
    Registered,
    Reset,
    Started,
    Suggest,
    Tell,
)
from service.engine.dossier import Dossier

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
            case Register():
                return (yield from register(dossier, command))
            case Reset():
                return (yield from reset(dossier))
            case Delete():
                dossiers[command.job_id] = delete(dossier)
    except CoreError as error:
        raise errors.from_core(error) from error
    return None


def dispatch(dossier: Dossier, command: Suggest | Begin, now: datetime) -> Generator[Need, Any, Trial]:
    """Dispatch a new trial, whose batch size is chosen once those whose leases have run out are over."""
    if isinstance(command, Begin):
        suggested = yield from zeus.begin(_existing(dossier), command.batch_size, now)
    else:
        _registered(dossier)
        yield from expire(dossier, now)  # whether or not a batch size is left then
        suggested = yield from zeus.suggest(_registered(dossier), now)
    dossier.change_job(suggested.job)
    dossier.bear(suggested.born)
    dossier.dispatch(suggested.trial)
    return suggested.trial


def expire(dossier: Dossier, now: datetime) -> Generator[Need, Any, None]:
    """Fail the trials whose leases have run out; a job that is gone has none."""
    if dossier.job is None:
        return
    job, expired = yield from zeus.expire(dossier.job, now)
    for trial in expired:
        dossier.change_trial(trial)
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
    reported = yield from zeus.report(job, trial, command.report, now)
    if reported.job is not None:
        dossier.change_job(reported.job)
    if reported.trial is not None and reported.trial is not trial:
        dossier.change_trial(reported.trial)
    if reported.arm is not None:
        dossier.learn(reported.arm, reported.sums)
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
    if leases.has_expired(trial, now):
        failed = leases.expired(trial)
    else:
        failed = replace(
            trial,
            status=TrialStatus.FAILED,
            end_timestamp=max(now, trial.start_timestamp),
            failure_reason=command.reason,
        )
    dossier.change_job(failures.failed(dossier.job, failed))
    dossier.change_trial(failed)


def beat(dossier: Dossier, command: Beat, now: datetime) -> Lease:
    """Renew the lease of a running trial."""
    job = _existing(dossier)
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


def register(dossier: Dossier, command: Register) -> Generator[Need, Any, Registered]:
    """Create a job, or compare the specification with the one in force."""
    wanted = command.specification
    if dossier.job is None:
        dossier.register(_new_job(wanted, command.seed, dossier.last_number), wanted.batch_sizes)
        return Registered(wanted, created=True)
    if not command.is_named:
        raise errors.JobIdTaken(f"The name {dossier.job_id} is taken.")
    batch_sizes = yield from needs.batch_sizes(dossier.job)
    in_force = _specification_of(dossier.job, tuple(batch_sizes))
    wanted = replace(wanted, **{name: getattr(in_force, name) for name in command.unnamed})
    if in_force != wanted:
        raise errors.SpecificationConflict(_conflict(in_force, wanted))
    return Registered(in_force, created=False)


def reset(dossier: Dossier) -> Generator[Need, Any, Started]:
    """Start a job over: nothing of what its trials have shown so far counts any more."""
    job = _existing(dossier)
    batch_sizes = yield from needs.batch_sizes(job)
    dossier.reset(zeus.started_over(job), batch_sizes)
    return Started(job.job_id, job.last_trial_number + 1)


def delete(dossier: Dossier) -> Dossier:
    """Return what is left of a job."""
    _existing(dossier)
    return dossier.deleted()


def _registered(dossier: Dossier) -> Job:
    if dossier.job is None:
        raise errors.UnknownJob(f"Unknown job({dossier.job_id}). Please register the job first.")
    return dossier.job


def _existing(dossier: Dossier) -> Job:
    if dossier.job is None:
        raise errors.JobNotFound(f"Job({dossier.job_id}) is not registered.")
    return dossier.job


def _new_job(specification: Specification, seed: int, last_number: int) -> Job:
    return Job(
        **_terms(specification),
        mab_random_generator_state=streams.seeded(seed),
        exp_default_batch_size=specification.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=specification.default_batch_size,
        last_trial_number=last_number,
    )


def _specification_of(job: Job, batch_sizes: tuple[int, ...]) -> Specification:
    return Specification(**_terms(job), batch_sizes=batch_sizes)


def _terms(terms: Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in Terms.__struct_fields__}


def _conflict(in_force: Specification, wanted: Specification) -> str:
    names = [n for n in Specification.__struct_fields__ if getattr(in_force, n) != getattr(wanted, n)]
    return (
        f"JobSpec doesn't match with existing jobSpec of job({in_force.job_id}): {', '.join(names)} differ. "
        "Use a new job_id for different configuration."
    )
