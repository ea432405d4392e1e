"""What happens is kept as it is told, in the transaction that does it."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from service.store import feed, schema
from service.store.happening import Happening, Kind

Transaction = Callable[[], AbstractContextManager[Connection]]

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
