"""What happens is kept as it is told, in the transaction that does it."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from service.store import feed, schema
from service.store.feed import Position
from service.store.happening import Happening, Kind
from tests.service.store.plans import plan_of

Transaction = Callable[[], AbstractContextManager[Connection]]

columns = schema.event.c
NEWEST = sa.select(columns.transaction_id, columns.event_id).order_by(columns.event_id.desc()).limit(1)

texts = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=40)
happenings = st.builds(
    Happening,
    job_id=texts,
    kind=st.sampled_from(Kind),
    timestamp=st.datetimes(timezones=st.just(UTC)),
    detail=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(happenings, max_size=5))
def test_what_happened_is_kept_as_it_was_told_and_in_its_order(
    transaction: Transaction, told: list[Happening]
) -> None:
    with transaction() as connection:
        feed.record(connection, told)
        rows = connection.execute(sa.select(schema.event).order_by(schema.event.c.event_id)).all()
        kept = [Happening(row.job_id, row.kind, row.timestamp, json.loads(row.detail)) for row in rows]
    assert kept == told


def test_what_is_new_is_found_without_going_through_what_is_old(transaction: Transaction) -> None:
    with transaction() as connection:
        now = datetime(2026, 1, 2, tzinfo=UTC)
        feed.record(connection, [Happening("job", Kind.JOB_RESET, now, {})] * 2000)
        place = Position(*connection.execute(NEWEST).one())
        statements: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *seen: statements.append(seen[2:4]))
        feed.between(connection, place, Position(place.transaction_id, place.event_id + 1), 500)
        for statement, parameters in statements.copy():
            if connection.dialect.name == "sqlite":
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                assert plan.scalars("detail").all() == [
                    "SEARCH Event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
                ]
            else:
                for mode in ("force_custom_plan", "force_generic_plan"):
                    plan_nodes = plan_of(connection, statement, parameters, mode)
                    [index] = [node for node in plan_nodes if "Index Name" in node]
                    assert index["Index Name"] == "ix_Event_order"
                    assert "ROW(transaction_id, event_id) > ROW" in index["Index Cond"]
