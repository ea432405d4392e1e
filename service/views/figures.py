"""Figures as people read them, in sentences, on pages and in tables: rounded, with a unit.

An energy, a cost or a short time has three significant digits; what is None is a dash.
"""

from datetime import UTC, datetime
from itertools import pairwise

NONE = "–"
MINUS = "−"
PREFIXES = ("m", "", "k", "M", "G", "T", "P", "E")
"""From thousandths on, each a thousand of the one before."""
DIGITS = 3
MOST_DIGITS = 7
"""So many tell two figures apart that are close to each other."""
PARTS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
LEAST_TIME, MOST_TIME = 1e-3, 1e12
"""Seconds below which, and from which on, a time has an exponent."""
AGES = (("year", 365 * 86400), ("month", 30 * 86400), *PARTS[:-1])
THOUSAND, MINUTE, DAY = 1000.0, 60.0, 86400.0
WHOLE_PERCENT = 10.0
"""Percent from which on tenths are left out."""


def joules(value: float | None, digits: int = DIGITS) -> str:
    """Return an energy or a cost to so many digits, as ``1.21 MJ``; with an exponent beyond mJ and EJ."""
    if value is None:
        return NONE
    size, place = _rounded(abs(value) * THOUSAND, digits), 0
    while size >= THOUSAND:
        size, place = _rounded(size / THOUSAND, digits), place + 1
    if size < 1 or place >= len(PREFIXES):
        return _signed(_exponential(abs(value), digits, "J"), value)
    return _signed(f"{_significant(size, digits)} {PREFIXES[place]}J", value)


def seconds(value: float | None) -> str:
    """Return a time in its two largest units, as ``2 h 5 min``; below a minute in seconds."""
    if value is None:
        return NONE
    size = _rounded(abs(value), DIGITS)
    if not LEAST_TIME <= size < MOST_TIME:
        return _signed(_exponential(size, DIGITS, "s"), value)
    if size < MINUTE:
        return _signed(f"{_significant(size, DIGITS)} s", value)
    whole = round(abs(value))
    for (_, large), (_, small) in pairwise(PARTS):
        if whole >= large:
            whole = round(whole / small) * small  # may carry into the larger one: 59 min 59.6 s is an hour
            break
    named: list[str] = []
    for unit, length in PARTS:
        amount, whole = divmod(whole, length)
        if amount:
            named.append(f"{amount:,} {unit}")
    return _signed(" ".join(named), value)


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, to a tenth below ten."""
    if share is None:
        return NONE
    size = abs(share) * 100
    decimals = 1 if round(size, 1) < WHOLE_PERCENT else 0
    return _signed(f"{size:,.{decimals}f}".removesuffix(".0"), share) + " %"


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart."""
    return NONE if value is None else f"{value:,}"


def number_of(value: int, thing: str) -> str:
    """Return how many there are of something."""
    return f"{count(value)} {thing}{'' if value == 1 else 's'}"


def apart(first: float, second: float) -> tuple[str, str]:
    """Return two costs to as many digits as tell them apart."""
    for digits in range(DIGITS, MOST_DIGITS):
        if joules(first, digits) != joules(second, digits):
            return joules(first, digits), joules(second, digits)
    return joules(first, MOST_DIGITS), joules(second, MOST_DIGITS)


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return NONE if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(time: datetime, now: datetime) -> str:
    """Return how long ago a time is, in its largest unit."""
    past = (now - time).total_seconds()
    for unit, length in AGES:
        amount = int(abs(past) // length)
        if amount:
            named = number_of(amount, unit) if length > DAY else f"{amount} {unit}"
            return f"{named} ago" if past > 0 else f"in {named}"
    return "just now"


def _rounded(size: float, digits: int) -> float:
    """Return a number to so many significant digits."""
    return float(f"{size:.{digits - 1}e}")


def _significant(size: float, digits: int) -> str:
    """Return a number that is rounded to so many significant digits, with all of them."""
    return f"{size:#.{digits}g}".rstrip(".")


def _exponential(size: float, digits: int, unit: str) -> str:
    return f"{size:.{digits - 1}e} {unit}" if size else f"0 {unit}"


def _signed(text: str, value: float) -> str:
    """Return a text with the sign of a value, none where it shows zero."""
    return f"{MINUS}{text}" if value < 0 and any(digit in text for digit in "123456789") else text
