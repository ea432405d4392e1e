"""Figures as people read them: three digits that count, with a unit; None is a dash."""

import math
from datetime import datetime

DASH = "–"
MINUS = "−"
PREFIXES = ("m", "", "k", "M", "G", "T", "P", "E")
"""From thousandths on, each a thousand of the one before."""
PARTS = (("d", 86400), ("h", 3600), ("min", 60))
AGES = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))
RECENT_SECONDS = 60
"""How long ago is now."""


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart."""
    return DASH if value is None else f"{value:,}".replace("-", MINUS)


def number(value: float | None) -> str:
    """Return a number with three digits that count, or all of a whole one's."""
    if value is None:
        return DASH
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-3:  # noqa: PLR2004  (where zeros would not be counted)
        text = f"{size:.2e}"
    else:
        text = f"{size:,.{_decimals(size)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return _signed(text, value)


def joules(value: float | None) -> str:
    """Return an energy or a cost, from mJ to EJ, with one to three digits before the point."""
    if value is None:
        return DASH
    size, place = abs(value) * 1000, 0
    while float(f"{size:.3g}") >= 1000 and place + 1 < len(PREFIXES):  # noqa: PLR2004  (a prefix each)
        size, place = size / 1000, place + 1
    prefix = PREFIXES[place] if size else ""
    return _signed(f"{number(size)} {prefix}J", value)


def seconds(value: float | None) -> str:
    """Return a duration in its two largest units, or in seconds below a minute."""
    if value is None:
        return DASH
    size = abs(value)
    if float(f"{size:.3g}") < 60:  # noqa: PLR2004  (seconds)
        return _signed(f"{number(size)} s", value)
    whole = round(size)
    if whole >= 86400:  # noqa: PLR2004  (seconds of a day: hours are enough)
        whole = round(whole / 3600) * 3600
    elif whole >= 3600:  # noqa: PLR2004  (of an hour)
        whole = round(whole / 60) * 60
    named: list[str] = []
    for unit, length in PARTS:
        amount, whole = divmod(whole, length)
        if amount or named:
            named.append(f"{amount:,} {unit}")
    named.append(f"{whole} s")
    return _signed(" ".join(part for part in named[:2] if not part.startswith("0 ")), value)


def percent(share: float | None) -> str:
    """Return a share of 1 in percent, to a tenth below ten."""
    if share is None:
        return DASH
    size = abs(share) * 100
    decimals = 1 if round(size, 1) < 10 else 0  # noqa: PLR2004  (percent)
    text = f"{size:,.{decimals}f}"
    return _signed(text.removesuffix(".0"), share) + " %"


def ago(time: datetime | None, now: datetime) -> str:
    """Return how long ago a time is, in its largest unit."""
    if time is None:
        return "never"
    past = (now - time).total_seconds()
    for unit, length in AGES:
        amount = int(abs(past) // length)
        if amount:
            named = f"{amount} {unit}{'s' if amount > 1 else ''}"
            return f"{named} ago" if past > 0 else f"in {named}"
    return "just now"


def exact(time: datetime | None) -> str:
    """Return a UTC time to the second."""
    return DASH if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _decimals(size: float) -> int:
    """Return how many decimals leave three digits that count."""
    if size == 0:
        return 0
    rounded = float(f"{size:.2e}")  # 9.999 is 10.0, which has one decimal less
    return max(0, 2 - math.floor(math.log10(rounded)))


def _signed(text: str, value: float) -> str:
    """Return a text with the sign of a value, none where it shows zero."""
    return f"{MINUS}{text}" if value < 0 and any(digit in text for digit in "123456789") else text
