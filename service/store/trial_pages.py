"""The statements behind what is shown of a job's trials: pages by number, counts by batch size, reasons."""

import operator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, json
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSON

from core.rationale import Rationale, Rule
from core.records import TrialStatus, TrialType
from service.store import schema

_trial = schema.trial
_rationale = json.Decoder(Rationale)


class TrialRow(Struct, frozen=True):
    """What is shown of a trial, and the rule that chose its batch size, None where none was kept."""

    job_id: str
    trial_number: int
    batch_size: int
    type: TrialType
    status: TrialStatus
    start_timestamp: datetime
    end_timestamp: datetime | None
    time: float | None
    energy: float | None
    converged: bool | None
    epochs: int | None
    failure_reason: str | None
    is_late: bool
    energy_source: str | None
    drifted_from: float | None
    rule: Rule | None


class ChosenTrials(Struct, frozen=True, kw_only=True):
    """Which trials of a job are wanted; what is None leaves all in."""

    status: TrialStatus | None = None
    type: TrialType | None = None
    batch_size: int | None = None
    converged: bool | None = None


class Tally(Struct, frozen=True):
    """The trials of a batch size and those that converged; of the latter those since the reset once more.

    ``time`` (seconds) and ``energy`` (joules) are sums over these ``num_counted``.
    """

    num_trials: int = 0
    num_converged: int = 0
    num_counted: int = 0
    time: float = 0.0
    energy: float = 0.0


def _rows_of(connection: Connection) -> sa.Select[Any]:
    """Return what selects the rows, but for which."""
    text = _trial.c.rationale
    rule = (
        sa.func.json_extract(text, "$.rule")
        if connection.dialect.name == "sqlite"
        else sa.cast(text, JSON)["rule"].astext
    )
    names = TrialRow.__struct_fields__[:-1]
    return sa.select(*(_trial.c[name] for name in names), rule)


def _row(row: Any) -> TrialRow:  # noqa: ANN401  (SQLAlchemy's own)
    members = [*row[:-1], None if row[-1] is None else Rule(row[-1])]
    return TrialRow(*members)


def trials(
    connection: Connection,
    job_id: str,
    chosen: ChosenTrials,
    after: int | None,
    limit: int,
    *,
    is_newest_first: bool,
) -> list[TrialRow]:
    """Load a page of a job's trials: those that follow a number."""
    number = _trial.c.trial_number
    # What is seldom is found by an index of its own, and not in the order of all trials.
    is_seldom = chosen.status is TrialStatus.DISPATCHED or chosen.type is TrialType.EXPLORATION
    placed = number + sa.literal_column("0") if is_seldom else number
    select = _rows_of(connection).where(_trial.c.job_id == job_id, *_conditions(chosen))
    if after is not None:
        select = select.where(number < after if is_newest_first else number > after)
    select = select.order_by(placed.desc() if is_newest_first else placed).limit(limit)
    return [_row(row) for row in connection.execute(select).all()]


def _conditions(chosen: ChosenTrials) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    # As the indexes' conditions have them, so that the planners use these.
    conditions: list[sa.ColumnElement[bool] | sa.TextClause] = []
    if chosen.status is not None:
        conditions.append(sa.text(f"status = '{chosen.status.value}'"))
    if chosen.type is not None:
        conditions.append(sa.text(f"type = '{chosen.type.value}'"))
    if chosen.batch_size is not None:
        conditions.append(_trial.c.batch_size == chosen.batch_size)
    if chosen.converged is not None:
        conditions.append(sa.text("converged" if chosen.converged else "NOT converged"))
    return conditions


def trial(connection: Connection, job_id: str, trial_number: int) -> TrialRow | None:
    """Load a trial."""
    select = _rows_of(connection).where(_trial.c.job_id == job_id, _trial.c.trial_number == trial_number)
    row = connection.execute(select).one_or_none()
    return None if row is None else _row(row)


def reasons(
    connection: Connection, job_id: str, trial_number: int | None
) -> tuple[int, int, Rationale | None] | None:
    """Load the number and the batch size of a trial, the newest where none is named, and why it has this one.

    None where there is no such trial; the reasons are None where none were kept.
    """
    select = sa.select(_trial.c.trial_number, _trial.c.batch_size, _trial.c.rationale).where(
        _trial.c.job_id == job_id
    )
    if trial_number is None:
        select = select.order_by(_trial.c.trial_number.desc()).limit(1)
    else:
        select = select.where(_trial.c.trial_number == trial_number)
    row = connection.execute(select).one_or_none()
    if row is None:
        return None
    number, size, text = row
    return number, size, None if text is None else _rationale.decode(text)


def tallies(connection: Connection, job_id: str, reset_number: int) -> dict[int, Tally]:
    """Count the trials of a job by batch size, those of which there are none left out."""
    found: dict[int, list[Any]] = {}
    for size, *counts in connection.execute(_tallies, {"job_id": job_id, "reset": reset_number}).all():
        before = found.get(size, [0] * len(counts))
        found[size] = [*map(operator.add, before, counts)]
    return {size: Tally(*counts) for size, counts in found.items()}


def _tallied(
    size: sa.ColumnElement[int], condition: sa.TextClause, *counts: sa.ColumnElement[Any]
) -> sa.Select[Any]:
    """Return what counts the trials of a condition by batch size, by the index that the condition is of."""
    return (
        sa.select(size, sa.func.count(), *counts)
        .where(_trial.c.job_id == sa.bindparam("job_id"), condition)
        .group_by(size)
    )


def _converged() -> sa.Select[Any]:
    """Return what counts the trials that converged: those with a result that have not missed the target."""
    missed = _trial.alias("missed")
    numbers = sa.select(missed.c.trial_number).where(
        missed.c.job_id == sa.bindparam("job_id"), sa.text("NOT missed.converged")
    )
    counts = _trial.c.trial_number > sa.bindparam("reset", type_=sa.Integer)
    return _tallied(
        _trial.c.batch_size,
        sa.text("status = 'Succeeded'"),
        sa.func.count(),
        sa.func.count(sa.case((counts, _trial.c.trial_number))),
        sa.func.sum(sa.case((counts, _trial.c.time), else_=0.0)),
        sa.func.sum(sa.case((counts, _trial.c.energy), else_=0.0)),
    ).where(_trial.c.trial_number.not_in(numbers))


# As another column than that of an index in which SQLite would rather go through all trials in their order.
_SIZE = _trial.c.batch_size + sa.literal_column("0")
_ZEROS: list[sa.ColumnElement[Any]] = [sa.literal_column(zero) for zero in ("0", "0", "0.0", "0.0")]
_tallies = sa.union_all(
    _converged(),
    *(
        _tallied(_SIZE, sa.text(seldom), *_ZEROS)
        for seldom in ("NOT converged", "status = 'Failed'", "status = 'Dispatched'")
    ),
)
