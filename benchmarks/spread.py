"""Figures of several rounds, and the median of many paired ratios with its bootstrap interval."""

from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

RESAMPLES = 1000
CONFIDENCE = 0.95


class Spread(Struct, frozen=True):
    """What the rounds of a measurement gave, in their order, and between what bounds."""

    minimum: float
    median: float
    maximum: float
    rounds: tuple[float, ...]

    def shown(self, digits: int = 2) -> str:
        """Return it for people: the median, and the bounds in brackets."""
        return f"{self.median:,.{digits}f} ({self.minimum:,.{digits}f} … {self.maximum:,.{digits}f})"


class Interval(Struct, frozen=True):
    """A median, the interval that holds it with 95 % confidence, and of how many pairs it is."""

    median: float
    low: float
    high: float
    pairs: int

    def shown(self, digits: int = 3) -> str:
        """Return it for people."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of at least one value."""
    rounds = tuple(float(value) for value in values)
    return Spread(min(rounds), float(median(rounds)), max(rounds), rounds)


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the spread of the ratios that two things had in the same rounds: the machine's moods cancel."""
    return spread(one / other for one, other in zip(over, under, strict=True))


def paired_ratio(over: ArrayLike, under: ArrayLike, seed: int = 0) -> Interval:
    """Return the median of paired ratios, with the percentile interval of its bootstrap.

    Args:
        over: At least one measurement.
        under: What was measured beside each; above 0.
        seed: Of the resampling.
    """
    each = np.asarray(over, dtype=np.float64) / np.asarray(under, dtype=np.float64)
    draws = np.random.default_rng(seed)
    medians = [np.median(each[draws.integers(len(each), size=len(each))]) for _ in range(RESAMPLES)]
    low, high = np.quantile(medians, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Interval(float(np.median(each)), float(low), float(high), len(each))
