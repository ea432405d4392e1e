"""What happens, kept in the transaction that does it, and read in one order by all who watch.

On Postgres ids are given before transactions commit, so that a later one may be seen first. There the order
is that of the transactions, read as far as the oldest one that has not ended: what is read is complete, and
nothing comes before it any more. On SQLite, where a transaction ends before the next begins, ids alone are an
order.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from msgspec import Struct, json
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from service.store import schema
from service.store.event_rows import CONTENT, HAS_NO_TIME, TIME, happening_of, time_of
from service.store.happening import Happening, Kind

log = logging.getLogger("batchbandit.feed")

LARGEST = 2**63 - 1
FEW = 20
"""Of the oldest events, that are looked at."""

_columns = schema.event.c
_KEY: Mapping[str, Sequence[sa.ColumnElement[Any]]] = {
    "sqlite": (sa.literal_column("0"), _columns.event_id),
    "postgresql": (_columns.transaction_id, _columns.event_id),
}
_TRANSACTION = {"sqlite": "0", "postgresql": "pg_current_xact_id()::text::bigint"}
_GIVEN = ("timestamp", "job_id", "kind", "detail")
"""The columns of a row that is added, in their order in the table."""
_OLDEST_OPEN = sa.literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", sa.BigInteger)
_newest = sa.func.coalesce(sa.func.max(_columns.event_id), 0)
_HEAD = {
    "sqlite": sa.select(sa.literal_column("0"), _newest),
    "postgresql": sa.select(_OLDEST_OPEN, sa.literal_column("0")),
}


def _bound(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger)


_RANGE: Mapping[str, tuple[sa.ColumnElement[bool], Sequence[sa.ColumnElement[Any]]]] = {
    # By the table's key: SQLite would go through all rows of transaction 0 for a comparison of pairs.
    "sqlite": (
        sa.and_(_columns.event_id > _bound("after_event"), _columns.event_id <= _bound("until_event")),
        (_columns.event_id,),
    ),
    "postgresql": (
        sa.and_(
            sa.tuple_(*_KEY["postgresql"]) > sa.tuple_(_bound("after_transaction"), _bound("after_event")),
            sa.tuple_(*_KEY["postgresql"]) <= sa.tuple_(_bound("until_transaction"), _bound("until_event")),
        ),
        _KEY["postgresql"],
    ),
}
"""What is behind a place and not behind another one, and its order."""

_SETTINGS = sa.select(
    *(sa.func.set_config(name, "off", sa.true()) for name in ("enable_seqscan", "enable_sort"))
)
"""Of a transaction on Postgres."""


class Position(NamedTuple):
    """A place in the order of events: behind those that are not above it."""

    transaction_id: int
    event_id: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what ``str`` has made of a position.

        Raises:
            ValueError: It is none.
        """
        transaction_id, _, event_id = text.partition("-")
        if not (transaction_id + event_id).isascii():
            raise ValueError(text)
        position = cls(int(transaction_id), int(event_id))
        if str(position) != text or min(position) < 0 or max(position) > LARGEST:
            raise ValueError(text)
        return position

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.event_id}"


class Event(Struct, frozen=True):
    """Something that happened, and its place; ``data`` is all of it, a ``Happening``, as JSON."""

    position: Position
    job_id: str
    kind: Kind
    data: bytes


class Events(Struct, frozen=True):
    """Events in their order; ``end`` is the place up to which they have been looked for."""

    events: Sequence[Event]
    end: Position


class Watched(Struct, frozen=True):
    """Whose events are wanted: of one job, where it is named, and of those whose names begin so."""

    job_id: str | None = None
    prefix: str = ""

    def includes(self, job_id: str) -> bool:
        """Tell whether events of a job are."""
        return self.job_id in {None, job_id} and job_id.startswith(self.prefix)

    def condition(self) -> sa.ColumnElement[bool]:
        """Return the same of rows."""
        of_job = sa.true() if self.job_id is None else _columns.job_id == self.job_id
        return sa.and_(of_job, sa.func.substr(_columns.job_id, 1, len(self.prefix)) == self.prefix)


def record(connection: Connection, happenings: Collection[Happening]) -> None:
    """Add what happened, in its order, in one executemany."""
    if happenings:
        text, stored = _insertion(connection.dialect)
        times = {time: stored(time) for time in {one.timestamp for one in happenings}}
        rows = [
            (times[one.timestamp], one.job_id, one.kind.value, json.encode(one.detail).decode())
            for one in happenings
        ]
        connection.exec_driver_sql(text, rows)


@cache
def _insertion(dialect: Dialect) -> tuple[str, Callable[[datetime], Any]]:
    """Return the text that inserts an event, and what makes a time as the table keeps it."""
    values: dict[str, Any] = {name: sa.bindparam(name) for name in _GIVEN}
    values["transaction_id"] = sa.literal_column(_TRANSACTION[dialect.name])
    statement = sa.insert(schema.event).inline().values(values)
    return str(statement.compile(dialect=dialect)), schema.UtcDateTime().bind_processor(dialect)


def head(connection: Connection) -> Position:
    """Return the place behind all that can be read: no event will ever come before it."""
    return Position(*connection.execute(_HEAD[connection.dialect.name]).one())


def between(
    connection: Connection, after: Position, until: Position, limit: int, watched: Watched | None = None
) -> Events:
    """Read events after a place, as far as another one that was the head; look at so many at most.

    One that is damaged is passed over.
    """
    _go_by_index(connection)
    dialect = connection.dialect.name
    is_between, in_order = _RANGE[dialect]
    keys = sa.select(*_KEY[dialect]).where(is_between).order_by(*in_order).limit(1).offset(limit - 1)
    last = connection.execute(keys, _bounds(after, until)).one_or_none()
    end = until if last is None else Position(*last)
    wanted = sa.select(*_KEY[dialect], *CONTENT[dialect]).where(is_between).order_by(*in_order).limit(limit)
    if watched is not None:
        wanted = wanted.where(watched.condition())
    rows = connection.execute(wanted, _bounds(after, end)).all()
    return Events(list(_readable(rows)), end)


def news(connection: Connection, after: Position, limit: int) -> Events:
    """Read the events that have come after a place; so many at most."""
    return between(connection, after, head(connection), limit)


def _go_by_index(connection: Connection) -> None:
    """Keep Postgres, to which any range of pairs is few rows, from going through the table to sort them."""
    if connection.dialect.name == "postgresql":
        connection.execute(_SETTINGS)


def _bounds(after: Position, until: Position) -> dict[str, int]:
    names = ("after_transaction", "after_event", "until_transaction", "until_event")
    return dict(zip(names, (*after, *until), strict=True))


def _readable(rows: Sequence[Any]) -> Iterator[Event]:
    for transaction_id, event_id, *content in rows:
        try:
            happening = happening_of(content)
        except ValueError as error:
            log.warning(
                "event %d cannot be read, and nobody is told of it: %s; run: batchbandit db check",
                event_id,
                error,
            )
            continue
        position = Position(transaction_id, event_id)
        yield Event(position, happening.job_id, happening.kind, json.encode(happening))


# The newest event stays, however old: SQLite would give its id again, and who has seen it would miss what
# follows.
_newest_id = sa.select(sa.func.max(_columns.event_id)).scalar_subquery()
_oldest_ids = (
    sa.select(_columns.event_id)
    .where(_columns.event_id < _newest_id)
    .order_by(_columns.event_id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_is_old = _columns.timestamp <= sa.bindparam("before", type_=schema.UtcDateTime)
_delete = {
    dialect: sa.delete(schema.event).where(_columns.event_id.in_(_oldest_ids), sa.or_(_is_old, has_no_time))
    for dialect, has_no_time in HAS_NO_TIME.items()
}
_oldest_times = {
    dialect: sa.select(TIME[dialect]).where(_columns.event_id.in_(_oldest_ids.where(sa.not_(has_no_time))))
    for dialect, has_no_time in HAS_NO_TIME.items()
}


def oldest(connection: Connection) -> datetime | None:
    """Return when the oldest event that may go happened (UTC), None where there is none."""
    _go_by_index(connection)
    # Of several, since one that is damaged may say the wrong time.
    known = map(time_of, connection.scalars(_oldest_times[connection.dialect.name], {"limit": FEW}))
    return min((time for time in known if time is not None), default=None)


def delete_old(connection: Connection, before: datetime, limit: int) -> None:
    """Delete what happened up to a time (UTC), of so many of the oldest events, and what is of no time."""
    connection.execute(_delete[connection.dialect.name], {"before": before, "limit": limit})
