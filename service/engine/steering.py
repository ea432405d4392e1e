"""What each command does to a job as a whole, its trials aside."""

from collections.abc import Generator, Sequence
from typing import Any

from msgspec.structs import replace

from core import change as retuning
from core import needs, policies, streams
from core.needs import Need, Precedent
from core.records import LIKE_IT, Job, Specification, Stage, specification_of, stated
from service import errors
from service.engine.commands import (
    Altered,
    Change,
    Pause,
    Paused,
    Register,
    Registered,
    Reset,
    Started,
)
from service.engine.dossier import Dossier
from service.store.happening import Kind


def steer(
    dossier: Dossier, command: Register | Reset | Change | Pause
) -> Generator[Need, Any, Registered | Started | Altered | Paused]:
    """Carry a command out on the dossier of its job; return its answer.

    Raises:
        CoreError: Core refuses it.
        ServiceError: It is refused.
    """
    match command:
        case Register():
            return (yield from register(dossier, command))
        case Reset():
            return (yield from reset(dossier))
        case Change():
            return (yield from change(dossier, command))
        case Pause():
            return pause(dossier, command)


def register(dossier: Dossier, command: Register) -> Generator[Need, Any, Registered]:
    """Create a job, or compare the specification with the one that was registered."""
    wanted = command.specification
    if dossier.job is None:
        precedents = yield from _precedents(wanted, command.reach)
        job = _new_job(wanted, command.seed, dossier.last_number)
        dossier.register(policies.of(job).registered(job, wanted.batch_sizes, precedents), wanted.batch_sizes)
        dossier.happen(Kind.JOB_REGISTERED)
        return Registered(wanted, created=True)
    if not command.is_named:
        raise errors.JobIdTaken(f"The name {dossier.job_id} is taken.")
    batch_sizes = yield from needs.batch_sizes(dossier.job)
    in_force = specification_of(dossier.job, batch_sizes)
    registered = replace(in_force, **dossier.job.registered)
    wanted = replace(wanted, **{name: getattr(registered, name) for name in command.unnamed})
    if registered != wanted:
        raise errors.SpecificationConflict(_conflict(registered, wanted))
    return Registered(in_force, created=False)


def _precedents(wanted: Specification, reach: str) -> Generator[Need, Any, Sequence[Precedent]]:
    """Find the jobs that a new one begins with; where it asks for those like it, there may be none.

    Raises:
        JobNotFound: It names one that is not registered.
    """
    named = wanted.warm_start_from
    if named is None:
        return ()
    found = yield from needs.precedents(wanted, named, reach)
    if not found and named != LIKE_IT:
        raise errors.JobNotFound(
            f"Job({named}), which warm_start_from names, is not registered, and job({wanted.job_id}) is not "
            f"either: name another job there, {LIKE_IT!r} for those with the same prefix, or null."
        )
    return found


def reset(dossier: Dossier) -> Generator[Need, Any, Started]:
    """Start a job over: nothing of what its trials have shown so far counts any more."""
    job = existing(dossier)
    batch_sizes = yield from needs.batch_sizes(job)
    dossier.reset(retuning.started_over(job, batch_sizes), batch_sizes)
    dossier.happen(Kind.JOB_RESET)
    return Started(job.job_id, job.last_trial_number + 1)


def change(dossier: Dossier, command: Change) -> Generator[Need, Any, Altered]:
    """Give a job other terms."""
    job = existing(dossier)
    batch_sizes = yield from needs.batch_sizes(job)
    terms = {name: value for name, value in command.terms.items() if getattr(job, name) != value}
    if not terms:
        return Altered(specification_of(job, batch_sizes), terms)
    changed = yield from retuning.change(job, terms)
    dossier.change_terms(changed.job)
    for arm, sums in changed.arms:
        dossier.learn(arm, sums)
    dossier.believe(changed.believed)
    dossier.happen(Kind.JOB_CHANGED, **terms)
    return Altered(specification_of(changed.job, batch_sizes), terms)


def pause(dossier: Dossier, command: Pause) -> Paused:
    """Let a job explore nothing any more, or explore again."""
    job = existing(dossier)
    is_new = job.is_paused != command.is_paused
    if is_new:
        dossier.change_terms(replace(job, is_paused=command.is_paused))
        dossier.happen(Kind.JOB_PAUSED if command.is_paused else Kind.JOB_RESUMED)
    return Paused(job.job_id, command.is_paused, is_new)


def delete(dossier: Dossier) -> Dossier:
    """Return what is left of a job."""
    existing(dossier)
    dossier.happen(Kind.JOB_DELETED)
    return dossier.deleted()


def existing(dossier: Dossier) -> Job:
    """Return the job of a dossier.

    Raises:
        JobNotFound: There is none.
    """
    if dossier.job is None:
        raise errors.JobNotFound(f"Job({dossier.job_id}) is not registered.")
    return dossier.job


def _new_job(specification: Specification, seed: int, last_number: int) -> Job:
    return Job(
        **stated(specification),
        mab_random_generator_state=streams.seeded(seed),
        exp_default_batch_size=specification.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=specification.default_batch_size,
        last_trial_number=last_number,
    )


def _conflict(in_force: Specification, wanted: Specification) -> str:
    names = [n for n in Specification.__struct_fields__ if getattr(in_force, n) != getattr(wanted, n)]
    return (
        f"JobSpec doesn't match with existing jobSpec of job({in_force.job_id}): {', '.join(names)} differ. "
        "Use a new job_id for different configuration."
    )
