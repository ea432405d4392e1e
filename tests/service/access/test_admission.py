"""Strangers' tokens cost neither memory nor reads, and the database's troubles are told as such."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from service.credentials import Role, Token
from service.engine.admission import Admission
from service.engine.sharing import Shared
from service.errors import DatabaseUnavailable, Overloaded, Unauthorized
from service.exposure import Exposure
from service.store import schema, tokens
from service.web.access import admit

T = TypeVar("T")

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counted:
    """A database in memory that counts what it is asked, and fails as long as it is told to."""

    def __init__(self) -> None:
        self._engine = sa.create_engine("sqlite://")
        with self._engine.begin() as connection:
            schema.metadata.create_all(connection)
        self.reads = self.writes = 0
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Count a read."""
        self.reads += 1
        await self.answers.wait()
        await asyncio.sleep(0.01)
        return self._run(work)

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:
        """Count a transaction."""
        del is_lone
        self.writes += 1
        await asyncio.sleep(0.01)
        return self._run(work)

    def _run(self, work: Callable[[Connection], T]) -> T:
        if self.fails:
            raise DatabaseUnavailable
        with self._engine.begin() as connection:
            return work(connection)

    def add(self, **changes: object) -> str:
        """Add a token; return its text."""
        token, text = Token.make(Role.READER, "", NOW)
        self._run(lambda connection: tokens.insert(connection, token))
        if changes:
            self._run(lambda connection: connection.execute(sa.update(schema.token).values(**changes)))
        return text


async def recognised(admission: Admission, text: str) -> Token | None:
    """Return the token that a text is."""
    await admission.issued()
    return admission.recognise(text)


def test_tokens_that_nobody_made_are_not_looked_up_one_by_one() -> None:
    database = Counted()
    database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            found = [await recognised(admission, Token.make(Role.ADMIN, "", NOW)[1]) for _ in range(1_000)]
        assert set(found) == {None}

    asyncio.run(scene())
    assert database.reads < 20, "one a second"
    assert database.writes == 0


def test_all_who_come_at_a_time_wait_for_one_read() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            found = await asyncio.gather(*(recognised(admission, text) for _ in range(100)))
        assert all(found)

    asyncio.run(scene())
    assert database.reads == 1
    assert database.writes == 1, "that it is used"


def test_no_more_wait_than_may() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 5) as admission:
            waiting = [recognised(admission, text) for _ in range(8)]
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Token] * 5 + [Overloaded] * 3
            assert await recognised(admission, text), "and then others may come"

    asyncio.run(scene())


def test_who_gives_up_leaves_the_others_waiting() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            waiting = [asyncio.create_task(recognised(admission, text)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            assert all(await asyncio.gather(*waiting[1:]))

    asyncio.run(scene())


def test_a_database_that_is_away_refuses_everybody_until_it_is_back() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            database.fails = True
            outcomes = await asyncio.gather(
                *(recognised(admission, text) for _ in range(10)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
            database.fails = False
            assert await recognised(admission, text)

    asyncio.run(scene())
    assert database.reads == 2


def test_nobody_waits_where_somebody_calls_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            await recognised(admission, text)
            database.answers.clear()
            await asyncio.sleep(1)
            monkeypatch.setattr("service.engine.admission.STALE_SECONDS", 2.0)
            assert await recognised(admission, text), "as they were"
            await asyncio.sleep(0)
            assert database.reads == 2, "they are read anew beside that"
            database.answers.set()

    asyncio.run(scene())


def test_a_database_that_does_not_answer_is_given_up() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        database.answers.clear()
        async with Admission(database, 100) as admission:
            waiting = [asyncio.create_task(recognised(admission, text)) for _ in range(3)]
            await asyncio.sleep(0.01)
            admission.give_up()
            outcomes = await asyncio.gather(*waiting, recognised(admission, text), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 4

    asyncio.run(scene())


def test_who_has_no_token_takes_no_place_where_all_need_one() -> None:
    database = Counted()
    database.add()
    exposure = Exposure(is_local=False, may_be_open=False, names=())

    async def scene() -> None:
        async with Admission(database, 1) as admission:
            state = SimpleNamespace(admission=admission, exposure=exposure)
            scope = {"app": SimpleNamespace(state=state), "headers": []}
            with pytest.raises(Unauthorized, match="needs a token"):
                await admit(scope, Role.READER)

    asyncio.run(scene())
    assert database.reads == 0


def test_what_many_ask_for_at_a_time_is_done_once() -> None:
    database = Counted()

    async def check() -> None:
        await database.read(tokens.issued)

    async def scene() -> None:
        shared = Shared(check)
        for count in (1, 2):
            await asyncio.gather(*(shared.done() for _ in range(100)))
            assert database.reads == count

    asyncio.run(scene())


@pytest.mark.parametrize(("ago", "writes"), [(timedelta(seconds=59), 0), (timedelta(seconds=61), 1)])
def test_that_a_token_is_used_is_written_once_a_minute(ago: timedelta, writes: int) -> None:
    database = Counted()
    text = database.add(last_used_timestamp=NOW - ago)

    async def scene() -> None:
        async with Admission(database, 100, clock=lambda: NOW) as admission:
            for _ in range(10):
                assert await recognised(admission, text)

    asyncio.run(scene())
    assert database.writes == writes


def test_a_use_that_cannot_be_written_hinders_nobody(caplog: pytest.LogCaptureFixture) -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with Admission(database, 100) as admission:
            await admission.issued()
            database.fails = True
            assert admission.recognise(text)

    asyncio.run(scene())
    assert "could not be kept" in caplog.text
    assert text not in caplog.text


def test_replicas_write_a_use_once_together() -> None:
    database = Counted()
    text = database.add()

    async def scene() -> None:
        async with (
            Admission(database, 100, clock=lambda: NOW) as one,
            Admission(database, 100, clock=lambda: NOW + timedelta(seconds=30)) as other,
        ):
            await asyncio.gather(one.issued(), other.issued())
            await recognised(one, text)
            await asyncio.sleep(0.1)
            await recognised(other, text)

    asyncio.run(scene())
    [token] = asyncio.run(database.read(tokens.issued)).active.values()
    assert token.last_used_timestamp == NOW
