"""Twin of ``core.kernels.posterior``: ``np.var`` arm by arm, and exact rationals for the compensated fit."""

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Posterior = tuple[float, float, float]


def fit_one(rewards: Floats, prior_mean: float, prior_precision: float) -> Posterior:
    """Fit one arm as NumPy rounds: posterior mean, posterior precision, reward precision."""
    variance = np.var(rewards)
    with np.errstate(divide="ignore", over="ignore"):
        reward_precision = np.reciprocal(variance)
        if reward_precision == np.inf:
            return float(rewards.mean()), np.inf, np.inf
        precision = prior_precision + len(rewards) * reward_precision
        mean = (prior_precision * prior_mean + reward_precision * rewards.sum()) / precision
    return float(mean), float(precision), float(reward_precision)


def fit_one_exactly(rewards: Floats, prior_mean: float, prior_precision: float) -> Posterior:
    """Fit one arm in exact rationals, each result rounded once."""
    exact = [Fraction(float(reward)) for reward in rewards]
    sample_mean = sum(exact, Fraction()) / len(exact)
    variance = sum(((reward - sample_mean) ** 2 for reward in exact), Fraction()) / len(exact)
    if variance == 0:
        return float(sample_mean), np.inf, np.inf
    precision = Fraction(prior_precision) + len(exact) / variance
    mean = (
        Fraction(prior_precision) * Fraction(prior_mean) + len(exact) * sample_mean / variance
    ) / precision
    return float(mean), float(precision), float(1 / variance)


def fit_segments(
    fit_arm: Callable[[Floats, float, float], Posterior],
    rewards: Floats,
    offsets: NDArray[np.int64],
    prior_means: Floats,
    prior_precisions: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Fit every arm of ragged segments; one without rewards keeps its prior."""
    means, precisions, reward_precisions = (
        prior_means.copy(),
        prior_precisions.copy(),
        np.zeros(len(prior_means)),
    )
    for arm, (start, end) in enumerate(itertools.pairwise(offsets)):
        if start < end:
            means[arm], precisions[arm], reward_precisions[arm] = fit_arm(
                rewards[start:end], float(prior_means[arm]), float(prior_precisions[arm])
            )
    return means, precisions, reward_precisions


def fit(
    rewards: Floats, offsets: NDArray[np.int64], prior_means: Floats, prior_precisions: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit k arms as NumPy rounds; see the kernel for arguments and result."""
    return fit_segments(fit_one, rewards, offsets, prior_means, prior_precisions)


def fit_compensated(
    rewards: Floats, offsets: NDArray[np.int64], prior_means: Floats, prior_precisions: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit k arms in exact rationals; see the kernel for arguments and result."""
    return fit_segments(fit_one_exactly, rewards, offsets, prior_means, prior_precisions)
