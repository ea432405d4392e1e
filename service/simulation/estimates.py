"""Means and ratios over seeds, with 95 % confidence intervals."""

import math
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

Z = NormalDist().inv_cdf(0.975)


class Estimate(Struct, frozen=True):
    """A mean or a ratio, and the bounds of its interval; these are None where there is but one seed."""

    value: float
    low: float | None
    high: float | None


def mean(values: Numbers) -> Estimate | None:
    """Return the mean over seeds, None over none."""
    if len(values) == 0 or not np.isfinite(values).all():
        return None
    return _around(float(values.mean()), _error(values))


def ratio(values: Numbers, others: Numbers) -> Estimate | None:
    """Return the ratio of two means over the same seeds, None where that of the others is not above 0.

    Its interval is that of the delta method, in which what both have in common cancels. Source:
    W. G. Cochran, "Sampling Techniques", section 2.11.
    """
    if len(values) == 0 or not np.isfinite(values).all() or not np.isfinite(others).all():
        return None
    mean_of_others = float(others.mean())
    if mean_of_others <= 0:
        return None
    value = float(values.mean()) / mean_of_others
    return _around(value, _error(values - value * others) / mean_of_others)


def _error(values: Numbers) -> float:
    """Return the standard error of a mean, NaN of one value."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def _around(value: float, error: float) -> Estimate:
    if math.isnan(error):
        return Estimate(value, None, None)
    return Estimate(value, value - Z * error, value + Z * error)
