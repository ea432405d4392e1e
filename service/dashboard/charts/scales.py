"""Scales: from what is measured to where it is drawn, and the ticks that tell it back."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct

NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Steps between ticks, times a power of ten."""
LEAST = 1e-300
"""Below which a step is none."""
MARGIN = 0.06
"""What is left empty beyond the lowest and the highest value, as a share of their distance."""
BASE = 0.5
"""The share below which bounds begin at 0."""


class Scale(Protocol):
    """What places a value; ``low`` to ``high`` are drawn from ``start`` to ``end``."""

    @property
    def low(self) -> float:
        """The lowest value that is drawn."""

    @property
    def high(self) -> float:
        """The highest value that is drawn."""

    def __call__(self, value: float) -> float:
        """Return the place of a value, in tenths; that of the nearer end where it lies beyond."""


class Linear(Struct, frozen=True):
    """Equal differences are equally far apart."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        part = (value - self.low) / (self.high - self.low)
        return _place(self.start, self.end, part)


class Log2(Struct, frozen=True):
    """Equal ratios are equally far apart."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        part = math.log2(value / self.low) / math.log2(self.high / self.low)
        return _place(self.start, self.end, part)


class Rows(Struct, frozen=True):
    """Names below each other, each in the middle of a row."""

    names: tuple[int, ...]
    start: float
    end: float

    @property
    def height(self) -> float:
        """Return the height of a row."""
        return (self.end - self.start) / max(1, len(self.names))

    def places(self) -> dict[int, float]:
        """Return the middle of each row."""
        return {name: round(self.start + (row + 0.5) * self.height, 1) for row, name in enumerate(self.names)}


def _place(start: float, end: float, part: float) -> float:
    return round(start + min(1.0, max(0.0, part)) * (end - start), 1)


def around(values: Iterable[float], base: float = BASE) -> tuple[float, float]:
    """Return bounds, ``low < high``, that leave a margin around values; around none, 0 to 1.

    They begin at 0 where the lowest value is below a share ``base`` of the highest, else differences would
    not be seen.
    """
    seen = list(values)
    if not seen:
        return 0.0, 1.0
    lowest, highest = min(seen), max(seen)
    if 0 <= lowest < base * highest:
        lowest = 0.0
    margin = MARGIN * (highest - lowest) or MARGIN * abs(highest) or 1.0
    return (lowest - margin if lowest else 0.0), highest + margin


def steps(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from ``low`` to ``high``, equally far apart, at most so many."""
    step = _step(high - low, most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)]


def whole_steps(low: int, high: int, most: int) -> list[int]:
    """Return round whole numbers from ``low`` to ``high``, at most so many, ``low`` the first."""
    step = max(1, math.ceil(_step(max(1, high - low), most)))
    later = [number for number in range(step * (low // step + 1), high + 1, step) if number - low >= step / 2]
    return [low, *later]


def _step(span: float, most: int) -> float:
    """Return the smallest nice step of which at most ``most - 1`` fit into a span."""
    rough = max(span / max(1, most - 1), LEAST)
    power = 10.0 ** math.floor(math.log10(rough))
    return next((nice * power for nice in NICE if nice * power >= rough), 10 * power)


def spread(places: Sequence[tuple[float, int]], distance: float, kept: Iterable[int]) -> Iterator[int]:
    """Go through the numbers of places, ascending, that are at least so far apart; first come those kept."""
    taken: dict[int, float] = {}
    firsts = set(kept)
    for place, number in sorted(places, key=lambda pair: (pair[1] not in firsts, pair[0])):
        if all(abs(place - other) >= distance for other in taken.values()):
            taken[number] = place
    yield from sorted(taken)
