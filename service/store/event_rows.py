"""Rows of events as they are read, whatever has become of them: one that is damaged spoils no other."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.finding import RESTORE, Finding
from service.store import schema
from service.store.happening import Happening, Kind

ROWS_AT_A_TIME = 5_000
PASSING = "nobody is told of it, and it goes with what is as old"

_columns = schema.event.c
_NAMES = ("job_id", "kind", "timestamp", "detail")


def _bytes(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.type_coerce(_columns[name], sa.types.NULLTYPE), sa.LargeBinary)


def _text_of_time() -> sa.ColumnElement[Any]:
    written = sa.func.to_char(_columns.timestamp, sa.literal_column("'YYYY-MM-DD HH24:MI:SS.US'"))
    return sa.func.coalesce(written, sa.literal_column("'infinity'"))


# As bytes, or as texts: at a text that is none, and at a time beyond Python's, the drivers fail for all rows
# that are read with it.
TIME: Mapping[str, sa.ColumnElement[Any]] = {"sqlite": _bytes("timestamp"), "postgresql": _text_of_time()}
CONTENT: Mapping[str, Sequence[sa.ColumnElement[Any]]] = {
    "sqlite": [_bytes(name) for name in _NAMES],
    "postgresql": [
        _columns.job_id,
        sa.type_coerce(_columns.kind, sa.Text),
        _text_of_time(),
        _columns.detail,
    ],
}
HAS_NO_TIME: Mapping[str, sa.ColumnElement[bool]] = {
    "sqlite": sa.func.julianday(sa.type_coerce(_columns.timestamp, sa.types.NULLTYPE)).is_(None),
    "postgresql": _columns.timestamp > sa.literal_column("timestamp '9999-12-31 23:59:59.999999'"),
}
"""What holds of rows that no time makes old."""


class _Row(Struct, frozen=True):
    job_id: str
    kind: Kind
    timestamp: datetime
    detail: str


def happening_of(content: Sequence[str | bytes | None]) -> Happening:
    """Return what a row tells, which was selected as ``CONTENT``.

    Raises:
        ValueError: A value is not of its kind, or the detail no object of JSON.
    """
    row = msgspec.convert(dict(zip(_NAMES, map(_text, content), strict=True)), _Row)
    try:
        detail = _detail(row.detail)
    except ValueError as error:
        raise ValueError(f"{error} - in its detail") from error
    return Happening(row.job_id, row.kind, _utc(row.timestamp), detail)


def time_of(value: str | bytes | None) -> datetime | None:
    """Return the time of a row (UTC), which was selected as ``TIME``; None where it is none."""
    try:
        return _utc(msgspec.convert(_text(value), datetime))
    except ValueError:
        return None


_detail = msgspec.json.Decoder(dict[str, Any]).decode


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)


def damages(connection: Connection) -> Iterator[Finding]:
    """Go through what is wrong with events, so many in memory at a time."""
    dialect = connection.dialect.name
    has_job = sa.or_(
        *(sa.exists().where(table.c.job_id == _columns.job_id) for table in (schema.job, schema.deleted_job))
    )
    rows = sa.select(_columns.event_id, _columns.transaction_id, has_job, *CONTENT[dialect])
    rows = rows.order_by(_columns.event_id).limit(ROWS_AT_A_TIME)
    found: Sequence[Any] = connection.execute(rows).all()
    while found:
        for event_id, transaction_id, is_of_a_job, *content in found:
            yield from _damages_of(event_id, content, is_of_a_job=is_of_a_job)
            if transaction_id != 0 if dialect == "sqlite" else transaction_id < 0:
                what = f"event {event_id} is of transaction {transaction_id}"
                yield Finding(None, None, what, RESTORE)
        found = connection.execute(rows.where(_columns.event_id > found[-1][0])).all()


def _damages_of(
    event_id: int, content: Sequence[str | bytes | None], *, is_of_a_job: bool
) -> Iterator[Finding]:
    try:
        happening = happening_of(content)
    except ValueError as error:
        yield Finding(None, None, f"event {event_id} cannot be read: {error}", PASSING)
        return
    if not is_of_a_job:
        what = f"event {event_id} is of this job, which there is not and has not been"
        yield Finding(happening.job_id, None, what, RESTORE)
