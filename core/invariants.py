"""A job held against its trials: what this service could not have made of them."""

import math
from collections.abc import Iterator

from core import policies
from core.cost import LARGEST_QUANTITY, cost_of
from core.failures import counts
from core.finding import RESTORE, Finding
from core.kept import Kept, counted_trials
from core.kernels import stream
from core.leases import EXPIRED
from core.mending import is_measured, is_sound
from core.records import Trial, TrialStatus
from core.tally_invariants import tally_findings


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
        "job_id": job.job_id.startswith(job.job_id_prefix),
        "eta_knob": 0 <= job.eta_knob <= 1,
        "beta_knob": job.beta_knob is None or 0 < job.beta_knob < math.inf,
        "target_metric": math.isfinite(job.target_metric),
        "max_epochs": job.max_epochs > 0,
        "num_pruning_rounds": job.num_pruning_rounds >= 0,
        "max_power": 0 < job.max_power <= LARGEST_QUANTITY,
        "number_of_gpus": job.number_of_gpus > 0,
        "mab_prior_mean": abs(job.mab_prior_mean) <= LARGEST_QUANTITY,
        "mab_prior_precision": 0 <= job.mab_prior_precision <= LARGEST_QUANTITY,
        "mab_num_explorations": job.mab_num_explorations >= 0,
        "mab_seed": job.mab_seed is None or job.mab_seed >= 0,
        "lease_seconds": job.lease_seconds is None or 0 < job.lease_seconds < math.inf,
        "max_failures": job.max_failures > 0,
        "longest_gap": 0 <= job.longest_gap < math.inf,
        "reset_number": 0 <= job.reset_number <= job.last_trial_number,
        "failures": all(size in kept.batch_sizes and seen.thirds > 0 for size, seen in job.failures.items()),
        "batch_sizes": all(size > 0 for size in kept.batch_sizes),
        "default_batch_size": job.default_batch_size in kept.batch_sizes,
        "exp_default_batch_size": job.exp_default_batch_size in kept.batch_sizes,
    }
    for name, is_good in is_in_range.items():
        if not is_good:
            yield Finding(job.job_id, None, f"{name} is {getattr(job, name, kept.batch_sizes)}", RESTORE)
    try:
        stream.decode([job.mab_random_generator_state])
    except (ValueError, TypeError) as error:
        yield Finding(job.job_id, None, f"its random stream cannot be read: {error}", RESTORE)


def _of_numbers(kept: Kept) -> Iterator[Finding]:
    """Trials are numbered without a gap up to the counter; a deleted job's name goes on from its last."""
    numbers = [trial.trial_number for trial in kept.trials]
    last = kept.job.last_trial_number
    if numbers != list(range(numbers[0] if numbers else last + 1, last + 1)):
        gap = sorted(set(range(min(numbers), last + 1)).symmetric_difference(numbers))
        what = f"the counter is {last}, and trial {gap[0]} " if gap else "a trial number "
        what += "is missing" if gap and gap[0] not in numbers else "is above it" if gap else "is there twice"
        yield Finding(kept.job.job_id, None, what, RESTORE)
    if numbers and numbers[0] < 1:
        yield Finding(kept.job.job_id, None, f"trial {numbers[0]} is below 1", RESTORE)


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
