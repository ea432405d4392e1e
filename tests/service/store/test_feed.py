"""What happens is kept in the transaction that does it, and read back in order, by its index."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from service.store import event_rows, feed, schema
from service.store.feed import Events, Position, Watched
from service.store.happening import Happening, Kind

Transaction = Callable[[], AbstractContextManager[Connection]]

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
FAR = Position(2**62, 2**62)

texts = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=40)
happenings = st.builds(
    Happening,
    job_id=texts,
    kind=st.sampled_from(Kind),
    timestamp=st.datetimes(timezones=st.just(UTC)),
    detail=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts),
)


def told(events: Events) -> list[Happening]:
    """Return what events tell."""
    members = [json.loads(event.data) for event in events.events]
    return [
        Happening(one["job_id"], Kind(one["kind"]), datetime.fromisoformat(one["timestamp"]), one["detail"])
        for one in members
    ]


def some(count: int, moment: datetime = NOW) -> list[Happening]:
    """Return what can be told apart."""
    return [
        Happening(f"job-{number % 7}", Kind.JOB_RESET, moment, {"number": number}) for number in range(count)
    ]


@settings(deadline=None, max_examples=25)
@given(st.lists(happenings, max_size=5))
def test_what_happened_is_told_as_it_was_kept_and_in_its_order(
    transaction: Transaction, happened: list[Happening]
) -> None:
    with transaction() as connection:
        feed.record(connection, happened)
        assert told(feed.between(connection, Position(0, 0), FAR, 10)) == happened


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 9), st.sampled_from([Watched(), Watched("job-3"), Watched(prefix="job-"), Watched("x")])
)
def test_what_is_read_in_parts_is_all_of_it_once(
    transaction: Transaction, limit: int, watched: Watched
) -> None:
    happened: list[Happening] = some(40)
    found: list[Happening] = []
    with transaction() as connection:
        feed.record(connection, happened)
        place = Position(0, 0)
        while place != FAR:
            part = feed.between(connection, place, FAR, limit, watched)
            assert len(part.events) <= limit
            assert all(place < event.position <= part.end for event in part.events)
            found += told(part)
            place = part.end
    assert found == [one for one in happened if watched.includes(one.job_id)]


def test_what_is_old_goes_in_parts_but_never_the_newest(transaction: Transaction) -> None:
    with transaction() as connection:
        assert feed.oldest(connection) is None
        feed.record(connection, some(10, NOW) + some(10, NOW + timedelta(days=1)))
        counts: list[Any] = []
        for before in (NOW, NOW, NOW, NOW + timedelta(days=2), NOW + timedelta(days=2)):
            assert (oldest := feed.oldest(connection)) is not None
            assert oldest == NOW + timedelta(days=len(counts) > 2)
            feed.delete_old(connection, before, 4 if before == NOW else 100)
            counts.append(connection.scalar(sa.select(sa.func.count()).select_from(schema.event)))
            if counts[-1] == 1:
                break
        assert counts == [16, 12, 10, 1]
        assert feed.oldest(connection) is None


ANYWHERE = [
    "kind = 'trial_endet'",
    "detail = '{\"number\"'",
    "detail = '[1]'",
    "detail = '{\"number\": NaN}'",
    "detail = ''",
]
DAMAGES = {
    "sqlite": [
        *ANYWHERE,
        "detail = x'ff'",
        "detail = CAST(x'7bff7d' AS TEXT)",
        "job_id = CAST(x'ff' AS TEXT)",
        "kind = CAST(x'ff' AS TEXT)",
        "timestamp = 'noon'",
        "timestamp = 7",
        "timestamp = CAST(x'ff' AS TEXT)",
    ],
    "postgresql": [*ANYWHERE, "timestamp = 'infinity'", "timestamp = '20000-01-01'"],
}


def test_one_that_is_damaged_is_passed_over_and_found(transaction: Transaction) -> None:
    with transaction() as connection:
        happened = some(3)
        feed.record(connection, happened)
        sound = connection.execute(sa.select(schema.event)).all()
        middle = sound[1].event_id
        for damage in DAMAGES[connection.dialect.name]:
            savepoint = connection.begin_nested()
            connection.exec_driver_sql(f'UPDATE "Event" SET {damage} WHERE event_id = {middle}')  # noqa: S608
            told_now = told(feed.between(connection, Position(0, 0), FAR, 10))
            assert told_now == [happened[0], happened[2]], damage
            found = [finding for finding in event_rows.damages(connection) if finding.job_id is None]
            assert [finding.what.partition(":")[0] for finding in found] == [
                f"event {middle} cannot be read"
            ], damage
            savepoint.rollback()
        assert told(feed.between(connection, Position(0, 0), FAR, 10)) == happened


def test_an_event_of_a_job_that_never_was_is_found(transaction: Transaction) -> None:
    with transaction() as connection:
        feed.record(connection, some(2))
        connection.execute(sa.insert(schema.deleted_job), {"job_id": "job-0", "last_trial_number": 3})
        (found,) = event_rows.damages(connection)
        assert found.job_id == "job-1"
        assert found.what.endswith("is of this job, which there is not and has not been")


def test_damage_is_looked_for_in_parts(transaction: Transaction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_rows, "ROWS_AT_A_TIME", 4)
    with transaction() as connection:
        feed.record(connection, some(11))
        assert len(list(event_rows.damages(connection))) == 11  # there is none of these jobs
        connection.execute(sa.update(schema.event).values(transaction_id=-1))
        assert sum(" is of transaction -1" in each.what for each in event_rows.damages(connection)) == 11


@pytest.mark.parametrize("damage", ["noon", "infinity", "20000-01-01"])
def test_what_is_of_no_time_holds_nothing_up_and_goes(transaction: Transaction, damage: str) -> None:
    with transaction() as connection:
        if connection.dialect.name == "postgresql" and damage == "noon":
            damage = "-infinity"
        feed.record(connection, some(4))
        first = connection.scalar(sa.select(sa.func.min(schema.event.c.event_id)))
        connection.exec_driver_sql(f"UPDATE \"Event\" SET timestamp = '{damage}' WHERE event_id = {first}")  # noqa: S608
        assert feed.oldest(connection) == NOW
        feed.delete_old(connection, NOW - timedelta(days=1), 10)
        assert told(feed.between(connection, Position(0, 0), FAR, 10)) == some(4)[1:]
        left = connection.scalar(sa.select(sa.func.count()).select_from(schema.event))
        assert left == 3


def test_of_no_time_may_be_more_than_are_looked_at(transaction: Transaction) -> None:
    with transaction() as connection:
        many = feed.FEW + 1
        feed.record(connection, some(many + 2))
        *spoilt, _, _ = connection.scalars(sa.select(schema.event.c.event_id).order_by("event_id"))
        damage = "infinity" if connection.dialect.name == "postgresql" else "noon"
        spoil = f"UPDATE \"Event\" SET timestamp = '{damage}' WHERE event_id <= {spoilt[-1]}"  # noqa: S608
        assert connection.exec_driver_sql(spoil).rowcount == many
        assert feed.oldest(connection) == NOW
        feed.delete_old(connection, NOW - timedelta(days=1), many)
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.event)) == 2


def test_in_an_open_transaction_the_head_is_before_what_it_has_written(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            feed.record(connection, some(1))
            assert feed.head(connection) > Position(0, 0)
            connection.rollback()
        return
    with engine.connect() as writing, engine.connect() as reading:
        before = feed.head(reading)
        feed.record(writing, some(1))
        assert feed.news(reading, before, 10).events == []
        reading.rollback()
        writing.commit()
        news = feed.news(reading, before, 10)
        assert told(news) == some(1)
        assert news.end == feed.head(reading)
        reading.execute(sa.delete(schema.event))
        reading.commit()


@pytest.mark.parametrize(
    "text", ["", "1", "-", "1-", "-1", "1-1-1", "01-1", "1-+1", "1 -1", "\u0661-1", "1_0-1"]
)
def test_what_is_no_position_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Position.read(text)


@given(st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)))
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert Position.read(str(position)) == position


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Return what is executed meanwhile."""
    executed: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:  # noqa: ANN401
        executed.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield executed
    event.remove(engine, "before_cursor_execute", note)


def test_nothing_is_read_by_a_scan_of_all_events(
    transaction: Transaction, statements: list[tuple[str, Any]]
) -> None:
    with transaction() as connection:
        feed.record(connection, some(20_000))
        if connection.dialect.name == "postgresql":
            # As pages have it, and as it is planned for whatever parameters may come.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = on")
            connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        statements.clear()
        feed.between(connection, Position(0, 0), FAR, 500)
        feed.between(connection, Position(0, 0), FAR, 500, Watched("job-1"))
        feed.oldest(connection)
        feed.delete_old(connection, NOW - timedelta(days=1), 500)
        asked = [one for one in statements if "set_config" not in one[0]]
        assert len(asked) == 6
        for statement, parameters in asked:
            assert not scans(connection, statement, parameters), statement


def scans(connection: Connection, statement: str, parameters: Any) -> list[str]:  # noqa: ANN401
    """Return the steps of a statement that go through a whole table or index."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")
        return [step for step in plan if step.startswith("SCAN") or "transaction_id>" in step]
    literal = ", ".join(f"'{one}'" for one in parameters)
    connection.exec_driver_sql(f"PREPARE asked AS {statement}")
    asked = f"EXPLAIN EXECUTE asked ({literal})" if literal else "EXPLAIN EXECUTE asked"
    steps = [step for step in connection.exec_driver_sql(asked).scalars() if re.search("Seq Scan|Sort", step)]
    connection.exec_driver_sql("DEALLOCATE asked")
    return steps
