"""Posteriors in exact rationals, and how far rounding may take a fit from them.

u = 2^-53 is the unit roundoff, gamma(k) = k u / (1 - k u) what k roundings one after the other amount to at
most. Source: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, lemma 3.1.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tests.strategies import Arm, Floats

UNIT = Fraction(1, 2**53)


class Exact(NamedTuple):
    """What an arm's rewards and prior amount to, unrounded; the variance is not 0."""

    sample_mean: Fraction
    mean_magnitude: Fraction
    variance: Fraction
    mean: Fraction
    precision: Fraction


def sample(rewards: Floats) -> tuple[Fraction, Fraction]:
    """Return the exact mean and variance of rewards."""
    exact = [Fraction(reward) for reward in rewards.tolist()]
    mean = sum(exact, Fraction()) / len(exact)
    return mean, sum(((reward - mean) ** 2 for reward in exact), Fraction()) / len(exact)


def posterior_of(arm: Arm) -> Exact:
    """Return the exact posterior of an arm whose rewards are not all equal."""
    sample_mean, variance = sample(arm.rewards)
    prior_mean, prior_precision = Fraction(arm.prior_mean), Fraction(arm.prior_precision)
    precision = prior_precision + len(arm.rewards) / variance
    mean = (prior_precision * prior_mean + len(arm.rewards) * sample_mean / variance) / precision
    return Exact(sample_mean, magnitude(arm.rewards), variance, mean, precision)


def magnitude(rewards: Floats) -> Fraction:
    """Return the exact mean of the rewards' magnitudes."""
    return sum(map(Fraction, np.abs(rewards).tolist()), Fraction()) / len(rewards)


def gamma(roundings: int) -> Fraction:
    """Bound the relative error of so many roundings."""
    return roundings * UNIT / (1 - roundings * UNIT)


def summation_depth(n: int) -> int:
    """Count the additions that any one of n terms goes through in NumPy's pairwise summation.

    Below 8 terms, one after the other; up to 128, n // 8 - 1 within one of 8 accumulators, 3 that join them
    and n % 8 for the tail; above, one more for each halving.
    """
    if n < 8:
        return n
    if n <= 128:
        return n // 8 + 2 + n % 8
    half = n // 2 - n // 2 % 8
    return 1 + max(summation_depth(half), summation_depth(n - half))


def variance_error(rewards: Floats, variance: Fraction, mean_magnitude: Fraction) -> Fraction:
    """Bound what rounding takes ``np.var`` from the variance V, given the mean A of the magnitudes.

    With d the depth of the summation, the sum is off by at most gamma(d) n A and the computed mean by
    gamma(d + 1) A. The sum of squares around *any* number m' is n V + n (m' - mean)^2, so that the mean's
    error enters only squared. To that come a rounding of each deviation, which its square doubles, one of the
    square, d of the sum and one of the division:

        |np.var - V| <= gamma(d + 4) V + (1 + gamma(d + 4)) gamma(d + 1)^2 A^2

    It holds while nothing underflows, as with magnitudes from 1e-100. Relative to V the second term grows as
    the square of mean / deviation: at rewards of 1e12 with a spread of 1e-3 nothing is promised any more.
    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample Variance: Analysis
    and Recommendations", The American Statistician 37(3), 1983, which has n for d, as plain summation does.
    """
    depth = summation_depth(len(rewards))
    relative = gamma(depth + 4)
    return relative * variance + (1 + relative) * (gamma(depth + 1) * mean_magnitude) ** 2


def weighing_error(arm: Arm, mean_magnitude: Fraction) -> Fraction:
    """Bound what rounding takes ``fit``'s mean from the one that its own reward precision r gives exactly.

    (p0 m0 + r sum) / (p0 + n r) is a weighted mean of m0 and the sample mean whatever r is; its parts meet d
    roundings in the sum and 5 in the formula, relative to the larger of |m0| and A.
    """
    return gamma(summation_depth(len(arm.rewards)) + 5) * max(abs(Fraction(arm.prior_mean)), mean_magnitude)


# What ``fit_compensated`` promises, in units in the last place. Each deviation carries at most two roundings,
# so its square five; the sum one, the quotient n / sum one: 7 for the reward precision r, and 9 for p0 + n r.
# The mean's weight w <= 1/2 then is off by 8 w (1 - w) + 2 w <= 3, times a difference of at most 2 M, M being
# the larger of prior and sample mean; with those of difference, product, sample mean and result, 10 of M.
# An error of the double-length sample mean itself enters the variance only squared, and is far below.
COMPENSATED_ULPS = 10


def compensated_mean_error(arm: Arm, sample_mean: float) -> float:
    """Bound the error of ``fit_compensated``'s mean.

    What the compensated sum leaves, over n: u^2 n^2 of the largest reward. Source: T. Ogita, S. M. Rump,
    S. Oishi, "Accurate Sum and Dot Product", SIAM J. Sci. Comput. 26(6), 2005, proposition 4.5.
    """
    largest = max(abs(arm.prior_mean), abs(sample_mean))
    n = len(arm.rewards)
    return COMPENSATED_ULPS * math.ulp(largest) + n * n * 2.0**-106 * float(np.abs(arm.rewards).max())
