"""What a job has saved against always training at its default batch size.

A training that converged has done what one at the default batch size would have done, at the mean of those
that converged there; one that did not has to be repeated, and all that it took is lost.
"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from core.cost import cost_of
from core.records import Job, Trial, TrialStatus


class Savings(Struct, frozen=True):
    """What is saved, less than 0 where more was spent: seconds, joules, and joules of cost.

    ``share`` is that of the cost without the service; ``default_time`` and ``default_energy`` are the means
    of the ``num_default`` trainings that converged at the default batch size.
    """

    time: float
    energy: float
    cost: float
    share: float
    default_time: float
    default_energy: float
    num_default: int


def savings_of(job: Job) -> Savings | None:
    """Return what a job has saved so far, None while nothing has converged at its default batch size."""
    if job.num_default == 0:
        return None
    usual_time, usual_energy = job.default_time / job.num_default, job.default_energy / job.num_default
    time = job.num_converged * usual_time - job.spent_time
    energy = job.num_converged * usual_energy - job.spent_energy
    cost = cost_of(job, time, energy)
    usual = job.num_converged * cost_of(job, usual_time, usual_energy)
    share = cost / usual if usual > 0 else 0.0  # under another eta than the one it was reported under
    return Savings(time, energy, cost, share, usual_time, usual_energy, job.num_default)


def saved_by(job: Job, trial: Trial) -> tuple[float, float] | None:
    """Return the seconds and joules that an ended trial has saved, None where the usual is not known."""
    if job.num_default == 0 or trial.time is None or trial.energy is None:
        return None
    usual_time, usual_energy = (
        (job.default_time / job.num_default, job.default_energy / job.num_default)
        if trial.converged
        else (0, 0)
    )
    return usual_time - trial.time, usual_energy - trial.energy


def counted(job: Job, before: Trial, after: Trial, now: datetime) -> Job:
    """Return a job that has counted a trial which ends, or which has a result after it had failed."""
    was_failed = before.status is TrialStatus.FAILED
    if after.status is TrialStatus.FAILED:
        return replace(job, num_failed=job.num_failed + (not was_failed), last_activity=now)
    if after.status is not TrialStatus.SUCCEEDED or after.time is None or after.energy is None:
        return job
    is_usual = bool(after.converged) and after.batch_size == job.default_batch_size
    return replace(
        job,
        num_failed=job.num_failed - was_failed,
        num_converged=job.num_converged + bool(after.converged),
        num_unconverged=job.num_unconverged + (not after.converged),
        spent_time=job.spent_time + after.time,
        spent_energy=job.spent_energy + after.energy,
        num_default=job.num_default + is_usual,
        default_time=job.default_time + (after.time if is_usual else 0.0),
        default_energy=job.default_energy + (after.energy if is_usual else 0.0),
        last_activity=now,
    )
