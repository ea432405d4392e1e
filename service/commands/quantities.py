"""Joules, seconds, shares and times as the cells of tables, some of which are empty."""

from datetime import UTC, datetime

from service.views import figures

NONE = "-"


def joules(amount: float | None) -> str:
    """Return an energy or a cost, or that there is none."""
    return NONE if amount is None else figures.joules(amount)


def seconds(amount: float | None) -> str:
    """Return a time, or that there is none."""
    return NONE if amount is None else figures.seconds(amount)


def percent(share: float | None) -> str:
    """Return a share in percent; no minus before a zero."""
    return NONE if share is None else f"{round(share, 2) + 0.0:.0%}"


def count(number: int | None) -> str:
    """Return a number, or that there is none."""
    return NONE if number is None else str(number)


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return NONE if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
