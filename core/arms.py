"""Arms and what they are fitted on: all results of a batch size, its window of them, or their sums."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from core import needs
from core.history import History, history_of, rewards_of
from core.needs import Need
from core.records import Arm, Job, Posterior, Trial
from core.sums import MOST_REFITTED, Sums, posterior_of

Fitted = tuple[Arm, Sums | None]
"""An arm and, where it lives on them, its running sums."""


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


def born(
    job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]
) -> Generator[Need, Any, tuple[Arm, ...]]:
    """Fit one arm a batch size on its explorations alone: ascending by trial number, never windowed."""
    rewards = [rewards_of(job, history_of(explorations.get(size, ()))) for size in batch_sizes]
    posteriors = yield from needs.posteriors(job, rewards)
    return tuple(
        arm_of(job, batch_size, posterior, len(seen))
        for batch_size, posterior, seen in zip(batch_sizes, posteriors, rewards, strict=True)
    )


def learnt(job: Job, arm: Arm, ended: Trial) -> Generator[Need, Any, Fitted]:
    """Fit an arm again, on its results with that of a trial which has just ended."""
    newest = history_of([ended])
    known = None
    if job.window_size <= 0 and arm.num_observations > MOST_REFITTED:
        known = yield from needs.sums(job, arm.batch_size)
    if known is None:
        others = yield from needs.results(job, arm.batch_size)
        if job.window_size > 0 or len(others) < MOST_REFITTED:
            rewards = rewards_of(job, ordered(job, others, newest))
            posteriors = yield from needs.posteriors(job, [rewards])
            return arm_of(job, arm.batch_size, posteriors[0], len(rewards)), None
        known = Sums(job.job_id, arm.batch_size).plus(others)
    sums = known.plus(newest)
    return arm_of(job, arm.batch_size, posterior_of(job, sums), sums.num_results), sums


def retuned(job: Job, arm: Arm, *, has_new_window: bool) -> Generator[Need, Any, Fitted]:
    """Fit an arm again under its job's new terms, on its results ascending by trial number, or their sums."""
    sums = None
    if job.window_size <= 0 and arm.num_observations > MOST_REFITTED and not has_new_window:
        sums = yield from needs.sums(job, arm.batch_size)
    if sums is None:
        results = yield from needs.results(job, arm.batch_size)
        if job.window_size > 0 or len(results) <= MOST_REFITTED:
            posteriors = yield from needs.posteriors(job, [rewards_of(job, results)])
            return arm_of(job, arm.batch_size, posteriors[0], len(results)), None
        sums = Sums(job.job_id, arm.batch_size).plus(results)
    return arm_of(job, arm.batch_size, posterior_of(job, sums), sums.num_results), sums


def ordered(job: Job, others: History, newest: History) -> History:
    """Return the results of a refit in the reference's order, which matters to the last bit.

    Where the job's window is full, its oldest result gives way and the rest goes ascending; else all go
    descending. The newest one is last.
    """
    window = job.window_size
    first = others[len(others) - window + 1 :] if 0 < window <= len(others) else others[::-1]
    return np.concatenate([first, newest])
