"""Means and ratios over seeds, with 95 % confidence intervals by Student's t."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

Z = NormalDist().inv_cdf(0.975)


class Moments(NamedTuple):
    """Of so many rows the mean, and the sum of squares about it, column by column."""

    rows: int
    mean: Numbers
    squares: Numbers

    def half_width(self) -> Numbers | None:
        """Return half of the interval of each mean, None of fewer than two rows."""
        if self.rows < 2:  # noqa: PLR2004  (one says nothing of the others)
            return None
        return np.asarray(quantile(self.rows - 1) * np.sqrt(self.squares / (self.rows - 1) / self.rows))


def moments(rows: Numbers) -> Moments:
    """Return the moments of rows, of which there may be none."""
    mean_row = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
    return Moments(len(rows), mean_row, ((rows - mean_row) ** 2).sum(axis=0))


def pooled(parts: Sequence[Moments]) -> Moments:
    """Return the moments of the rows of all parts.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample Variance", 1983.
    """
    rows = sum(part.rows for part in parts)
    together = np.asarray(sum(part.rows * part.mean for part in parts)) / max(rows, 1)
    squares = sum(part.squares + part.rows * (part.mean - together) ** 2 for part in parts)
    return Moments(rows, together, np.asarray(squares))


def quantile(freedom: int) -> float:
    """Return the value that Student's t exceeds with a probability of 2.5 %, to 0.2 %.

    Source: M. Abramowitz, I. A. Stegun, "Handbook of Mathematical Functions", 26.7.5; the first two exactly.
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:  # noqa: PLR2004
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92_160,
    )
    return Z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


class Estimate(Struct, frozen=True):
    """A mean or a ratio, and the bounds of its interval; these are None where there is but one seed."""

    value: float
    low: float | None
    high: float | None


def mean(values: Numbers) -> Estimate | None:
    """Return the mean over seeds, None over none."""
    if len(values) == 0 or not np.isfinite(values).all():
        return None
    return _around(float(values.mean()), _half_width(values))


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
    return _around(value, _half_width(values - value * others) / mean_of_others)


def _half_width(values: Numbers) -> float:
    """Return half of the interval of a mean, NaN of one value."""
    half = moments(values[:, None]).half_width()
    return math.nan if half is None else float(half[0])


def _around(value: float, half: float) -> Estimate:
    if math.isnan(half):
        return Estimate(value, None, None)
    return Estimate(value, value - half, value + half)
