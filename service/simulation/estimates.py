"""Means and ratios over seeds, with 95 % confidence intervals."""

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
        return np.asarray(Z * np.sqrt(self.squares / (self.rows - 1) / self.rows))


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
