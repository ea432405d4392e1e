"""Figures in words: joules, seconds and counts as people write them."""

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
DIGITS = 3
MOST_DIGITS = 7
"""So many tell two figures apart that are close to each other."""
LONGEST = 1e15
"""What is not written out any more."""
UNITS = ((120, "s", 1), (7200, "min", 60))


def joules(value: float, digits: int = DIGITS) -> str:
    """Return an energy or a cost to so many digits, as ``1.21 MJ``."""
    rounded = _rounded(value, digits)
    power = sum(abs(rounded) >= 1000.0**exponent for exponent in range(1, len(PREFIXES)))
    if abs(rounded) >= 1000.0 ** len(PREFIXES):
        return f"{value:.{digits}g} J"
    return f"{_plain(rounded / 1000.0**power, digits)} {PREFIXES[power]}J"


def seconds(value: float, digits: int = DIGITS) -> str:
    """Return a time to so many digits: seconds up to two minutes, minutes up to two hours, else hours."""
    for limit, unit, length in UNITS:
        if abs(value) < limit:
            return f"{_plain(value / length, digits)} {unit}"
    return f"{_plain(value / 3600, digits)} h"


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _plain(value: float, digits: int) -> str:
    """Return a number to so many digits: all that are before the point, with commas, and zeros at the end."""
    rounded = abs(_rounded(value, digits))
    if not 1 <= rounded < LONGEST:
        return f"{value:.{digits}g}"
    before = len(str(int(rounded)))
    return f"{value:,.{max(digits - before, 0)}f}"


def number_of(count: int, thing: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def apart(first: float, second: float) -> tuple[str, str]:
    """Return two costs to as many digits as tell them apart."""
    for digits in range(DIGITS, MOST_DIGITS):
        if joules(first, digits) != joules(second, digits):
            return joules(first, digits), joules(second, digits)
    return joules(first, MOST_DIGITS), joules(second, MOST_DIGITS)
