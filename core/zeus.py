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

from core import needs
from core.cost import cost_of
from core.errors import TrialFailed
from core.history import History, history_of, rewards_of
from core.needs import Need
from core.pruning import Await, Explore, walk
from core.records import Arm, Job, Posterior, Report, Stage, Trial, TrialStatus, TrialType, Verdict
from core.sums import MOST_REFITTED, Sums, posterior_of
from core.verdict import judge


class Suggested(Struct, frozen=True):
    """A new trial, the job behind it, and the arms born with it."""

    trial: Trial
    job: Job
    born: tuple[Arm, ...] = ()


class Reported(Struct, frozen=True):
    """A verdict, and what changes where the trial has ended.

    That is the trial, the job and, in the bandit, the arm, with its running sums once it lives on them.
    """

    verdict: Verdict
    trial: Trial | None = None
    job: Job | None = None
    arm: Arm | None = None
    sums: Sums | None = None


Suggestion = Generator[Need, Any, Suggested]
Reporting = Generator[Need, Any, Reported]


def suggest(job: Job, now: datetime) -> Suggestion:
    """Decide which batch size the next trial of a job uses, and dispatch it at ``now`` (UTC).

    Raises:
        NoBatchSizeLeft: Every batch size has failed to converge.
    """
    if job.stage is Stage.MAB:
        arms = yield from needs.arms(job)
        return (yield from _sample(job, tuple(arms.values()), now))
    batch_sizes = yield from needs.batch_sizes(job)
    explorations = yield from needs.explorations(job)
    step = walk(job, batch_sizes, explorations)
    if isinstance(step, Explore):
        return _dispatch(job, step.batch_size, TrialType.EXPLORATION, now)
    if isinstance(step, Await):
        return _dispatch(job, job.min_cost_batch_size, TrialType.CONCURRENT, now)
    born = yield from _bear(job, step.batch_sizes, explorations)
    suggested = yield from _sample(replace(job, stage=Stage.MAB), born, now)
    return replace(suggested, born=born)


def _sample(job: Job, arms: Sequence[Arm], now: datetime) -> Suggestion:
    chosen = yield from needs.choice(job, arms)
    moved = replace(job, mab_random_generator_state=chosen.stream)
    return _dispatch(moved, chosen.arm.batch_size, TrialType.MAB, now)


def _dispatch(job: Job, batch_size: int, type_: TrialType, now: datetime) -> Suggested:
    trial = Trial(
        job_id=job.job_id,
        batch_size=batch_size,
        trial_number=job.last_trial_number + 1,
        start_timestamp=now,
        type=type_,
        status=TrialStatus.DISPATCHED,
    )
    return Suggested(trial, replace(job, last_trial_number=trial.trial_number))


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


def report(job: Job, trial: Trial, said: Report, now: datetime) -> Reporting:
    """Decide what a report means and, where the trial ends with it at ``now`` (UTC), what that changes.

    Raises:
        TrialFailed: The trial has ended without a result.
        CostOutOfRange: The reported cost is not a cost.
    """
    if trial.status is TrialStatus.SUCCEEDED:
        message = f"Result for this trial({trial.trial_number}) is already reported."
        return Reported(Verdict(stop_train=True, converged=bool(trial.converged), message=message))
    if trial.status is TrialStatus.FAILED:
        raise TrialFailed(
            f"Trial({trial.trial_number}) of job({job.job_id}) has failed: it was ended before it reported a "
            "result. Ask for a new batch size."
        )
    verdict = judge(job, said)
    if not verdict.stop_train:
        return Reported(verdict)
    ended = replace(
        trial,
        status=TrialStatus.SUCCEEDED,
        end_timestamp=now,
        time=said.time,
        energy=said.energy,
        converged=verdict.converged,
    )
    arm, sums = yield from _learn(job, ended)
    return Reported(verdict, ended, with_cost(job, ended), arm, sums)


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
