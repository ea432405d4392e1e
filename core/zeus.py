"""Policy ``zeus``: prune the batch sizes that do not converge, then Gaussian Thompson sampling over the rest.

Source: You et al., "Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training", NSDI '23,
section 4; the order of rewards and of draws is that of its Batch Size Optimizer, to the last bit.
"""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from core import failures, leases, needs, savings
from core.cost import cost_of
from core.errors import NoBatchSizeLeft, TrialFailed, UnknownBatchSize
from core.history import History, history_of, rewards_of
from core.needs import Need
from core.pruning import Await, Explore, stand_in, walk
from core.rationale import Rationale, Rule, weighed
from core.records import Arm, Job, Posterior, Report, Stage, Trial, TrialStatus, TrialType, Verdict
from core.sums import MOST_REFITTED, Sums, posterior_of
from core.verdict import judge


class Suggested(Struct, frozen=True):
    """A new trial and why it has its batch size, the job behind it, and the arms born with it."""

    trial: Trial
    rationale: Rationale
    job: Job
    born: tuple[Arm, ...] = ()


class Reported(Struct, frozen=True):
    """A verdict, and what changes: the trial, the job and, where the trial has ended in the bandit, the arm.

    The arm comes with its running sums once it lives on them.
    """

    verdict: Verdict
    trial: Trial | None = None
    job: Job | None = None
    arm: Arm | None = None
    sums: Sums | None = None


LATE = "late: the lease of this trial had run out; its result is kept all the same"

Suggestion = Generator[Need, Any, Suggested]
Reporting = Generator[Need, Any, Reported]


def suggest(job: Job, now: datetime) -> Suggestion:
    """Decide which batch size the next trial of a job uses, and dispatch it at ``now`` (UTC).

    Of a job that is paused it is the best one so far, outside the walk and outside the draws.

    Raises:
        NoBatchSizeLeft: Every batch size has failed to converge, or is set aside.
    """
    if job.stage is Stage.MAB:
        arms = yield from needs.arms(job)
        if job.is_paused:
            return _dispatch_best(job, tuple(arms.values()), now)
        return (yield from _sample(job, tuple(arms.values()), now))
    batch_sizes = yield from needs.batch_sizes(job)
    explorations = yield from needs.explorations(job)
    if job.is_paused:
        batch_size, why = stand_in(job, batch_sizes, explorations), Rationale(job.stage, Rule.PAUSED)
        return _dispatch(job, batch_size, TrialType.CONCURRENT, why, now)
    step = walk(job, batch_sizes, explorations)
    if isinstance(step, Explore):
        why = Rationale(job.stage, step.rule, step.round)
        return _dispatch(job, step.batch_size, TrialType.EXPLORATION, why, now)
    if isinstance(step, Await):
        batch_size = stand_in(job, batch_sizes, explorations)
        why = Rationale(job.stage, Rule.STAND_IN, step.round)
        return _dispatch(job, batch_size, TrialType.CONCURRENT, why, now)
    born = yield from _bear(job, step.batch_sizes, explorations)
    suggested = yield from _sample(replace(job, stage=Stage.MAB), born, now)
    return replace(suggested, born=born)


def begin(job: Job, batch_size: int, now: datetime) -> Suggestion:
    """Dispatch a trial at ``now`` (UTC) at a batch size that its training has chosen, set aside or not.

    It is outside the walk and outside the draws: no random number is taken for it.

    Raises:
        UnknownBatchSize: It is not one of the job's.
    """
    batch_sizes = yield from needs.batch_sizes(job)
    if batch_size not in batch_sizes:
        raise UnknownBatchSize(f"Expected one of the batch sizes of job({job.job_id}), got {batch_size}")
    return _dispatch(job, batch_size, TrialType.CONCURRENT, Rationale(job.stage, Rule.CHOSEN), now)


def started_over(job: Job) -> Job:
    """Return a job as it was registered: no trial before counts any more, its random stream goes on."""
    return replace(
        job,
        stage=Stage.PRUNING,
        exp_default_batch_size=job.default_batch_size,
        min_cost=None,
        min_cost_batch_size=job.default_batch_size,
        failures={},
        reset_number=job.last_trial_number,
    )


def _sample(job: Job, arms: Sequence[Arm], now: datetime) -> Suggestion:
    usable = _usable(job, arms)
    chosen = yield from needs.choice(job, usable)
    moved = replace(job, mab_random_generator_state=chosen.stream)
    arms_seen = weighed(usable, chosen.samples)
    rule = Rule.UNEXPLORED if arms_seen[0].sample is None else Rule.SAMPLED
    why = Rationale(job.stage, rule, arms=arms_seen)
    return _dispatch(moved, chosen.arm.batch_size, TrialType.MAB, why, now)


def _dispatch_best(job: Job, arms: Sequence[Arm], now: datetime) -> Suggested:
    """Dispatch a trial at the arm of the highest posterior mean; where none has results, at the default."""
    usable = _usable(job, arms)
    best = max(
        usable,
        key=lambda arm: (arm.num_observations > 0, arm.param_mean, arm.batch_size == job.default_batch_size),
    )
    why = Rationale(job.stage, Rule.PAUSED, arms=weighed(usable))
    return _dispatch(job, best.batch_size, TrialType.CONCURRENT, why, now)


def _usable(job: Job, arms: Sequence[Arm]) -> list[Arm]:
    """Return the arms that are not set aside.

    Raises:
        NoBatchSizeLeft: All are.
    """
    usable = [arm for arm in arms if not failures.is_set_aside(job, arm.batch_size)]
    if not usable:
        raise NoBatchSizeLeft(failures.all_aside(job))
    return usable


def _dispatch(job: Job, batch_size: int, type_: TrialType, rationale: Rationale, now: datetime) -> Suggested:
    trial = leases.granted(
        job,
        Trial(
            job_id=job.job_id,
            batch_size=batch_size,
            trial_number=job.last_trial_number + 1,
            start_timestamp=now,
            type=type_,
            status=TrialStatus.DISPATCHED,
        ),
        now,
    )
    job = replace(job, last_trial_number=trial.trial_number, last_activity=now)
    return Suggested(trial, rationale, leases.watched(job, trial))


def _bear(
    job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]
) -> Generator[Need, Any, tuple[Arm, ...]]:
    """Fit one arm a survivor on its explorations alone: ascending by trial number, never windowed."""
    rewards = [rewards_of(job, history_of(explorations.get(size, ()))) for size in batch_sizes]
    posteriors = yield from needs.posteriors(job, rewards)
    return tuple(
        arm_of(job, batch_size, posterior, len(seen))
        for batch_size, posterior, seen in zip(batch_sizes, posteriors, rewards, strict=True)
    )


def arm_of(job: Job, batch_size: int, posterior: Posterior, observations: int) -> Arm:
    """Return the arm of a batch size that was fitted on so many observations."""
    return Arm(
        job_id=job.job_id,
        batch_size=batch_size,
        param_mean=posterior.mean,
        param_precision=posterior.precision,
        reward_precision=posterior.reward_precision,
        num_observations=observations,
    )


def expire(job: Job, now: datetime) -> Generator[Need, Any, tuple[Job, Sequence[Trial]]]:
    """Fail the trials of a job whose leases have run out at ``now`` (UTC); return them, and the job then."""
    if job.next_expiry is None or job.next_expiry > now:
        return job, ()
    running = yield from needs.leased(job)
    over = [trial for trial in running if leases.has_expired(trial, now)]
    failed = [leases.expired(trial) for trial in over]
    for trial, expired in zip(over, failed, strict=True):
        job = savings.counted(failures.failed(job, expired), trial, expired, now)
    left = running[len(failed) :]
    return replace(job, next_expiry=left[0].lease_expires if left else None), failed


def report(job: Job, trial: Trial, said: Report, now: datetime) -> Reporting:
    """Decide what a report means and what it changes at ``now`` (UTC).

    A trial whose lease has run out is judged as if it had not.

    Raises:
        TrialFailed: The trial has ended without a result.
        CostOutOfRange: The reported cost is not a cost.
    """
    if trial.status is TrialStatus.SUCCEEDED:
        message = f"Result for this trial({trial.trial_number}) is already reported."
        return Reported(Verdict(stop_train=True, converged=bool(trial.converged), message=message))
    is_late = leases.has_expired(trial, now) or trial.failure_reason == leases.EXPIRED
    if trial.status is TrialStatus.FAILED and not is_late:
        raise TrialFailed(
            f"Trial({trial.trial_number}) of job({job.job_id}) has failed: it was ended before it reported a "
            f"result ({trial.failure_reason or 'no reason given'}). Ask for a new batch size."
        )
    verdict = judge(job, said)
    job = leases.with_gap(job, trial, now)
    if is_late:
        verdict = replace(verdict, message=f"{verdict.message} ({LATE})")
    if not verdict.stop_train:
        if not is_late:
            heard = leases.reported(job, trial, now)
        elif trial.status is TrialStatus.FAILED:
            heard = replace(trial, last_report=now)
        else:  # its failure counts as its lease ran out, whoever notices first
            heard = trial
        return Reported(verdict, heard if heard is not trial else None, leases.watched(job, heard))
    ended = replace(
        trial,
        type=(yield from _late_type(job, trial)) if is_late else trial.type,
        status=TrialStatus.SUCCEEDED,
        end_timestamp=max(now, trial.start_timestamp),  # a clock may have been set back
        time=said.time,
        energy=said.energy,
        energy_source=said.energy_source,
        converged=verdict.converged,
        failure_reason=None,
        is_late=is_late,
    )
    job = savings.counted(job, trial, ended, now)
    if not failures.counts(job, ended):
        return Reported(verdict, ended, job)
    arm, sums = yield from _learn(job, ended)
    return Reported(verdict, ended, with_cost(failures.succeeded(job, ended), ended), arm, sums)


def _late_type(job: Job, trial: Trial) -> Generator[Need, Any, TrialType]:
    """Return what a late trial counts as: an exploration only if its batch size was not explored anew."""
    if trial.type is not TrialType.EXPLORATION:
        return trial.type
    newest = yield from needs.newest_exploration(job, trial.batch_size)
    return TrialType.EXPLORATION if newest == trial.trial_number else TrialType.CONCURRENT


def with_cost(job: Job, ended: Trial) -> Job:
    """Let a converged trial lower the job's lowest cost; one that did not converge never does."""
    if not ended.converged or ended.time is None or ended.energy is None:
        return job
    cost = cost_of(job, ended.time, ended.energy)
    if job.min_cost is not None and job.min_cost <= cost:
        return job
    return replace(job, min_cost=cost, min_cost_batch_size=ended.batch_size)


def _learn(job: Job, ended: Trial) -> Generator[Need, Any, tuple[Arm | None, Sums | None]]:
    """Refit the arm of a trial's batch size, where there is one, on its results with that of the trial."""
    batch_size, newest = ended.batch_size, history_of([ended])
    if job.stage is not Stage.MAB:
        return None, None
    arms = yield from needs.arms(job)
    if batch_size not in arms:
        return None, None
    known = None
    if job.window_size <= 0 and arms[batch_size].num_observations > MOST_REFITTED:
        known = yield from needs.sums(job, batch_size)
    if known is None:
        others = yield from needs.results(job, batch_size)
        if job.window_size > 0 or len(others) < MOST_REFITTED:
            rewards = rewards_of(job, ordered(job, others, newest))
            posteriors = yield from needs.posteriors(job, [rewards])
            return arm_of(job, batch_size, posteriors[0], len(rewards)), None
        known = Sums(job.job_id, batch_size).plus(others)
    sums = known.plus(newest)
    return arm_of(job, batch_size, posterior_of(job, sums), sums.num_results), sums


def ordered(job: Job, others: History, newest: History) -> History:
    """Return the results of a refit in the reference's order, which matters to the last bit.

    Where the job's window is full, its oldest result gives way and the rest goes ascending; else all go
    descending. The newest one is last.
    """
    window = job.window_size
    first = others[len(others) - window + 1 :] if 0 < window <= len(others) else others[::-1]
    return np.concatenate([first, newest])
