"""What happens, kept in the transaction that does it, and read in one order by all who watch."""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec import json
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from service.store import schema
from service.store.happening import Happening

# On SQLite a transaction ends before the next begins: ids alone are an order.
_TRANSACTION = {"sqlite": "0", "postgresql": "pg_current_xact_id()::text::bigint"}
_GIVEN = ("timestamp", "job_id", "kind", "detail")
"""The columns of a row that is added, in their order in the table."""


def record(connection: Connection, happenings: Collection[Happening]) -> None:
    """Add what happened, in its order, in one executemany."""
    if happenings:
        text, stored = _insertion(connection.dialect)
        rows = [
            (stored(one.timestamp), one.job_id, one.kind.value, json.encode(one.detail).decode())
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
