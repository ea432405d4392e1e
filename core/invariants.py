"""A job held against its trials: what this service could not have made of them."""

import math
from collections.abc import Iterator, Sequence

from core import policies
from core.cost import cost_of
from core.failures import counts
from core.finding import RESTORE, Finding
from core.kept import Kept, counted_trials
from core.kernels import stream
from core.leases import EXPIRED
from core.mending import is_measured, is_sound
from core.records import Trial, TrialStatus
from core.tally_invariants import tally_findings
from core.terms import unfit


def audit(kept: Kept) -> Iterator[Finding]:
    """Go through everything about a job that is not as its trials make it."""
    yield from _of_terms(kept)
    yield from _of_numbers(kept)
    for trial in kept.trials:
        yield from _of_trial(kept, trial)
    yield from _of_leases(kept)
    yield from tally_findings(kept.job, kept.trials)
    yield from _of_lowest_cost(kept)
    yield from policies.of(kept.job).audit(kept)


def _of_terms(kept: Kept) -> Iterator[Finding]:
    job = kept.job
    is_in_range = {
        "longest_gap": 0 <= job.longest_gap < math.inf,
        "reset_number": 0 <= job.reset_number <= job.last_trial_number,
        "failures": all(size in kept.batch_sizes and seen.thirds > 0 for size, seen in job.failures.items()),
    }
    wrong = [f"{name} is {getattr(job, name)}" for name, is_good in is_in_range.items() if not is_good]
    for what in (*unfit(job, kept.batch_sizes), *wrong):
        yield Finding(job.job_id, None, what, RESTORE)
    try:
        stream.decode([job.mab_random_generator_state])
    except (ValueError, TypeError) as error:
        yield Finding(job.job_id, None, f"its random stream cannot be read: {error}", RESTORE)


def _of_numbers(kept: Kept) -> Iterator[Finding]:
    """Trials are numbered without a gap up to the counter; a deleted job's name goes on from its last."""
    numbers = [trial.trial_number for trial in kept.trials]
    last = kept.job.last_trial_number
    what = _gap(numbers, last)
    if what is not None:
        yield Finding(kept.job.job_id, None, f"the counter is {last}, and {what}", RESTORE)
    if numbers and numbers[0] < 1:
        yield Finding(kept.job.job_id, None, f"trial {numbers[0]} is below 1", RESTORE)


def _gap(numbers: Sequence[int], last: int) -> str | None:
    """Return what keeps ascending numbers from going on by 1 up to the last, None where nothing does."""
    # One after the other: what they span may be far more than fits into memory.
    wanted = numbers[0] if numbers else last + 1
    for number in numbers:
        if number < wanted:
            return f"a trial number is there twice: {number}"
        if number > wanted:
            break
        wanted += 1
    if wanted <= last:
        return f"trial {wanted} is missing"
    return f"trial {numbers[-1]} is above it" if numbers and numbers[-1] > last else None


def _of_trial(kept: Kept, trial: Trial) -> Iterator[Finding]:
    def finding(what: str) -> Finding:
        return Finding(trial.job_id, trial.batch_size, f"trial {trial.trial_number} {what}", RESTORE)

    if trial.batch_size not in kept.batch_sizes:
        yield finding("has a batch size that is not the job's")
    measured = (
        trial.time,
        trial.energy,
        trial.converged,
        trial.energy_source,
        trial.epochs,
        trial.drifted_from,
    )
    if trial.status is TrialStatus.SUCCEEDED:
        # The job's terms may have changed since it was reset: what it cost before is asked no more.
        is_good = is_sound(kept.job, trial) if counts(kept.job, trial) else is_measured(trial)
        is_told = trial.converged is not None and trial.end_timestamp is not None
        if not (is_good and is_told and (trial.epochs or 1) > 0):
            yield finding(
                f"has succeeded with time {trial.time} s, energy {trial.energy} J, converged "
                f"{trial.converged}, epochs {trial.epochs}, ended at {trial.end_timestamp}"
            )
    elif any(value is not None for value in measured):
        yield finding(f"is {trial.status} and has a result")
    if trial.failure_reason is not None and trial.status is not TrialStatus.FAILED:
        yield finding(f"is {trial.status} and has failed: {trial.failure_reason}")
    if trial.is_late and trial.status is not TrialStatus.SUCCEEDED:
        yield finding(f"is {trial.status} and its result was late")
    is_over = trial.status is not TrialStatus.DISPATCHED and trial.failure_reason != EXPIRED
    if is_over and trial.curve is not None:
        yield finding(f"is {trial.status} and has a curve")
    if (trial.end_timestamp is None) != (trial.status is TrialStatus.DISPATCHED):
        yield finding(f"is {trial.status} and has ended at {trial.end_timestamp}")


def _of_leases(kept: Kept) -> Iterator[Finding]:
    """No lease ends before the job knows: it would run out unnoticed."""
    known = kept.job.next_expiry
    for trial in kept.trials:
        if trial.status is not TrialStatus.DISPATCHED or trial.lease_expires is None:
            continue
        if known is None or trial.lease_expires < known:
            what = f"the lease of trial {trial.trial_number} ends before next_expiry"
            yield Finding(trial.job_id, trial.batch_size, what, RESTORE)


def _of_lowest_cost(kept: Kept) -> Iterator[Finding]:
    job = kept.job
    costs = [
        (cost_of(job, trial.time, trial.energy), trial.batch_size)
        for trial in counted_trials(kept)
        if trial.converged and trial.time is not None and trial.energy is not None
    ]
    lowest = min(costs)[0] if costs else None
    if job.min_cost != lowest:
        what = f"min_cost is {job.min_cost} J and the lowest cost of a converged trial {lowest} J"
        yield Finding(job.job_id, job.min_cost_batch_size, what, RESTORE)
        return
    cheapest = {size for cost, size in costs if cost == lowest} or {job.default_batch_size}
    if job.min_cost_batch_size not in cheapest:
        what = f"the lowest cost is said to be its own, and is that of {min(cheapest)}"
        yield Finding(job.job_id, job.min_cost_batch_size, what, RESTORE)
