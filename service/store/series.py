"""The trials of a job as its charts need them: each for itself while there are few, else put together."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.cost import cost_of
from core.records import Terms, TrialStatus, TrialType
from service.store import schema

MOST_SINGLE = 1_500
"""Trials that are read one by one."""
BINS = 250
"""Into how many bins more of them are put."""
MOST_CELLS = 5_000
"""Rows that this may give for each way in which a trial can end."""


class Cell(Struct, frozen=True):
    """Trials of one bin, batch size, type and ending: how many, and what they cost.

    ``cost`` (joules) is the sum over those with a result, ``lowest_cost`` and ``highest_cost`` are None where
    there is none. ``num_drifts`` of them have shown that costs have drifted.
    """

    bin: int
    batch_size: int
    type: TrialType
    status: TrialStatus
    converged: bool | None
    num_trials: int
    cost: float
    lowest_cost: float | None
    highest_cost: float | None
    num_drifts: int = 0


class Series(Struct, frozen=True):
    """Cells, ascending by bin and batch size; bin 0 begins with trial ``first``, all have ``width``.

    ``begin`` and ``end`` (UTC) are when the first and the last trial were dispatched.
    """

    first: int
    last: int
    width: int
    cells: tuple[Cell, ...]
    begin: datetime | None = None
    end: datetime | None = None

    def numbers(self, number: int) -> tuple[int, int]:
        """Return the first and the last trial number of a bin."""
        first = self.first + number * self.width
        return first, min(self.last, first + self.width - 1)


def series_of(connection: Connection, terms: Terms, num_batch_sizes: int) -> Series:
    """Load the trials of a job in two statements, one of which goes through all of them."""
    bounds = connection.execute(_BOUNDS, {"job_id": terms.job_id}).one_or_none()
    if bounds is None:
        return Series(1, 0, 1, ())
    first, last, begin, end = bounds
    width = _width(last - first + 1, num_batch_sizes)
    # A cost is linear: its two coefficients are the costs of a second and of a joule.
    parameters = {
        "job_id": terms.job_id,
        "first": first,
        "width": width,
        "second": cost_of(terms, 1.0, 0.0),
        "joule": cost_of(terms, 0.0, 1.0),
    }
    rows = connection.execute(_CELLS, parameters).all()
    return Series(first, last, width, tuple(Cell(*row) for row in rows), begin, end)


def _width(num_trials: int, num_batch_sizes: int) -> int:
    if num_trials <= MOST_SINGLE:
        return 1
    bins = max(1, min(BINS, MOST_CELLS // max(1, num_batch_sizes)))
    return -(-num_trials // bins)


def _cells() -> sa.Select[Any]:
    """Return what puts trials together; a bin is worked out once, since its parts are parameters."""
    trial = schema.trial.c
    first, width = (sa.bindparam(name, type_=sa.Integer) for name in ("first", "width"))
    joule, second = (sa.bindparam(name, type_=sa.Float) for name in ("joule", "second"))
    each = (
        sa.select(
            ((trial.trial_number - first) // width).label("bin"),
            *(trial[name] for name in ("batch_size", "type", "status", "converged")),
            (joule * trial.energy + second * trial.time).label("cost"),
            trial.drifted_from,
        )
        .where(trial.job_id == sa.bindparam("job_id"))
        .subquery()
    ).c
    kind = (each.bin, each.batch_size, each.type, each.status, each.converged)
    return (
        sa.select(
            *kind,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(each.cost), 0.0),
            sa.func.min(each.cost),
            sa.func.max(each.cost),
            sa.func.count(each.drifted_from),
        )
        .group_by(*kind)
        .order_by(each.bin, each.batch_size)
    )


def _bounds() -> sa.Select[Any]:
    """Return what finds the first and the last trial, each by one look into the primary key."""
    trial = schema.trial.c
    first, last = (
        sa.select(trial.trial_number, trial.start_timestamp)
        .where(trial.job_id == sa.bindparam("job_id"))
        .order_by(order)
        .limit(sa.literal_column("1"))
        .subquery()
        for order in (trial.trial_number.asc(), trial.trial_number.desc())
    )
    return sa.select(
        first.c.trial_number, last.c.trial_number, first.c.start_timestamp, last.c.start_timestamp
    ).select_from(first.join(last, sa.true()))


_BOUNDS = _bounds()
_CELLS = _cells()
