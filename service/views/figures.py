"""Figures in words: joules, seconds and counts as people write them."""

import math

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
DIGITS = 3
MOST_DIGITS = 7
"""So many tell two figures apart that are close to each other."""


def joules(value: float, digits: int = DIGITS) -> str:
    """Return an energy or a cost to so many digits, as ``1.21 MJ``."""
    if not 1 <= abs(value) < 10 ** (3 * len(PREFIXES)):
        return f"{value:.{digits}g} J"
    power = min(int(math.log10(abs(float(f"{value:.{digits - 1}e}")))) // 3, len(PREFIXES) - 1)
    return f"{_plain(value / 1000**power, digits)} {PREFIXES[power]}J"


def seconds(value: float, digits: int = DIGITS) -> str:
    """Return a time to so many digits: seconds up to two minutes, minutes up to two hours, else hours."""
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60)):
        if abs(value) < limit:
            return f"{_plain(value / length, digits)} {unit}"
    return f"{_plain(value / 3600, digits)} h"


def _plain(value: float, digits: int) -> str:
    """Return a number to so many digits, those before the point all, with commas and without an exponent."""
    if abs(value) >= 10**15:
        return f"{value:.{digits}g}"
    before = len(str(int(abs(value))))
    return f"{value:,.{max(digits - before, 0)}f}" if abs(value) >= 1 else f"{value:.{digits}g}"


def number_of(count: int, thing: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def apart(first: float, second: float) -> tuple[str, str]:
    """Return two costs to as many digits as tell them apart."""
    for digits in range(DIGITS, MOST_DIGITS):
        if joules(first, digits) != joules(second, digits):
            return joules(first, digits), joules(second, digits)
    return joules(first, MOST_DIGITS), joules(second, MOST_DIGITS)
