"""Failures in a row at a batch size, and when it is set aside for them."""

from collections.abc import Iterable
from urllib.parse import quote

from msgspec.structs import replace

from core import leases
from core.records import Failures, Job, Trial

NO_FAULT = frozenset({"preempted", "unmeasured"})
"""Reasons that say nothing of a batch size: the machine was taken away, the energy could not be measured."""
WHOLE = 3
"""Thirds of a failure."""
MOST_NAMED = 10
"""Batch sizes that a sentence names."""


def weight_of(trial: Trial) -> int:
    """Return how much a failed trial counts against its batch size, in thirds.

    One that had reported an epoch and failed without a named cause has most likely lost its machine.
    """
    if trial.failure_reason in NO_FAULT:
        return 0
    is_unnamed = trial.failure_reason in {None, leases.EXPIRED}
    return 1 if is_unnamed and trial.last_report is not None else WHOLE


def failed(job: Job, trial: Trial) -> Job:
    """Return a job of which a trial has failed."""
    weight = weight_of(trial)
    if weight == 0 or not counts(job, trial) or is_set_aside(job, trial.batch_size):
        return job
    before = job.failures.get(trial.batch_size)
    thirds = weight + (before.thirds if before else 0)
    return replace(job, failures={**job.failures, trial.batch_size: Failures(thirds, trial.failure_reason)})


def succeeded(job: Job, trial: Trial) -> Job:
    """Return a job of which a trial has ended with a result: no failure before it counts any more."""
    size = trial.batch_size
    if size not in job.failures or not counts(job, trial) or is_set_aside(job, size):
        return job
    return replace(job, failures={other: seen for other, seen in job.failures.items() if other != size})


def counts(job: Job, trial: Trial) -> bool:
    """Tell whether a trial was dispatched since the job was last reset."""
    return trial.trial_number > job.reset_number


def is_set_aside(job: Job, batch_size: int) -> bool:
    """Tell whether a batch size has failed too often in a row; it stays aside until the job is reset."""
    seen = job.failures.get(batch_size)
    return seen is not None and seen.thirds >= WHOLE * job.max_failures


def usable(job: Job, batch_sizes: Iterable[int]) -> list[int]:
    """Return the batch sizes that are not set aside, in their order."""
    return [size for size in batch_sizes if not is_set_aside(job, size)]


def described(job: Job) -> str:
    """Return a sentence on the batch sizes that are set aside, empty where there are none."""
    aside = [size for size in sorted(job.failures) if is_set_aside(job, size)]
    named = [f"{size} ({job.failures[size].reason or 'no reason given'})" for size in aside[:MOST_NAMED]]
    if len(aside) > MOST_NAMED:
        named.append(f"{len(aside) - MOST_NAMED} more")
    return f" Set aside after {job.max_failures} failures in a row: {', '.join(named)}." if aside else ""


def reset_call(job: Job) -> str:
    """Return the call that starts a job over."""
    return f"POST /api/v1/jobs/{quote(job.job_id, safe='')}/reset"


def all_aside(job: Job) -> str:
    """Return what to do about a job none of whose batch sizes is left."""
    return (
        f"Trainings of job({job.job_id}) have failed at every batch size.{described(job)} Mend what made "
        f"them fail and start over: {reset_call(job)}; or register a job with a new job_id and other "
        "batch_sizes."
    )
