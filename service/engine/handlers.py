"""What each command does to a job.

A handler is a decision as ``core.decisions`` settles it. It changes the dossier only after the last thing
that can fail, so that a command which raises has changed nothing.
"""

from collections.abc import Generator
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from core import needs, streams, zeus
from core.errors import CoreError
from core.needs import Need
from core.records import Job, Specification, Stage, Terms, Trial, TrialStatus, Verdict
from service import errors
from service.engine.commands import Command, Delete, End, Register, Registered, Suggest, Tell
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
            case Suggest():
                return (yield from suggest(dossier, now))
            case Tell():
                return (yield from tell(dossier, command, now))
            case End():
                end(dossier, command, now)
            case Register():
                return (yield from register(dossier, command))
            case Delete():
                dossiers[command.job_id] = delete(dossier)
    except CoreError as error:
        raise errors.from_core(error) from error
    return None


def suggest(dossier: Dossier, now: datetime) -> Generator[Need, Any, Trial]:
    """Dispatch a new trial."""
    suggested = yield from zeus.suggest(_registered(dossier), now)
    dossier.change_job(suggested.job)
    dossier.bear(suggested.born)
    dossier.dispatch(suggested.trial)
    return suggested.trial


def tell(dossier: Dossier, command: Tell, now: datetime) -> Generator[Need, Any, Verdict]:
    """Judge a report and, where it ends the trial, learn from it."""
    job = _registered(dossier)
    trial = dossier.trial_of(command.report.batch_size, command.trial_number)
    if trial is None:
        raise errors.UnknownTrial(
            f"Unknown trial: job({job.job_id}) has no trial({command.trial_number}) at batch size "
            f"{command.report.batch_size}; report what GET /jobs/batch_size answered."
        )
    reported = yield from zeus.report(job, trial, command.report, now)
    if reported.job is not None:
        dossier.change_job(reported.job)
    if reported.trial is not None:
        dossier.end(reported.trial)
    if reported.arm is not None:
        dossier.learn(reported.arm, reported.sums)
    return reported.verdict


def end(dossier: Dossier, command: End, now: datetime) -> None:
    """End a trial; one that is still Dispatched has failed."""
    trial = dossier.trial_of(command.batch_size, command.trial_number)
    if trial is None:
        raise errors.TrialNotFound(
            f"Could not find the trial: job({command.job_id}) has no trial({command.trial_number}) at batch "
            f"size {command.batch_size}."
        )
    if trial.status is TrialStatus.DISPATCHED:
        dossier.end(replace(trial, status=TrialStatus.FAILED, end_timestamp=now))


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
    if in_force != wanted:
        raise errors.SpecificationConflict(_conflict(in_force, wanted))
    return Registered(in_force, created=False)


def delete(dossier: Dossier) -> Dossier:
    """Return what is left of a job."""
    if dossier.job is None:
        raise errors.JobNotFound(f"No job was deleted: job({dossier.job_id}) is not registered.")
    return dossier.deleted()


def _registered(dossier: Dossier) -> Job:
    if dossier.job is None:
        raise errors.UnknownJob(f"Unknown job({dossier.job_id}). Please register the job first.")
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
