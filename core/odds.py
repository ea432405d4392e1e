"""Posteriors as people read them: how likely an arm is the best one, and where its mean reward lies."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from core.kernels import odds
from core.records import Arm


def probabilities_best(arms: Sequence[Arm]) -> list[float]:
    """Return the probability of each arm of a job that its mean reward is the highest, its cost the lowest.

    They add up to 1. Where nothing is known of an arm, or all, see ``core.kernels.odds.best``.
    """
    return probabilities_best_of([arms])[0]


def probabilities_best_of(jobs: Sequence[Sequence[Arm]]) -> list[list[float]]:
    """Return the probabilities of many jobs' arms, each within its job."""
    offsets = np.cumsum([0, *map(len, jobs)], dtype=np.int64)
    means = np.array([arm.param_mean for arms in jobs for arm in arms], dtype=np.float64)
    precisions = np.array([arm.param_precision for arms in jobs for arm in arms], dtype=np.float64)
    chances = odds.best(offsets, means, precisions).tolist()
    return [chances[start : start + len(arms)] for start, arms in zip(offsets.tolist(), jobs, strict=False)]


def interval(mean: float, precision: float, mass: float = 0.95) -> tuple[float, float] | None:
    """Return the bounds that hold a Gaussian's central ``mass``, in its unit; None where it is flat.

    Source: A. Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, section 2.3.
    """
    if precision == 0:
        return None
    half = NormalDist().inv_cdf((1 + mass) / 2) * precision**-0.5
    return mean - half, mean + half
