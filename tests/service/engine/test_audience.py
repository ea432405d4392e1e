"""The audience in process: what a service needs hours for, or another replica."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from service.engine import audience
from service.engine.audience import MOST_PENDING, Audience, Listener
from service.store import feed
from service.store.databases import ServedDatabase
from service.store.feed import Event, Position, Watched
from service.store.happening import Happening, Kind
from service.store.tokens import Issued
from tests.service.engine.scenes import Play
from tests.service.listening import happening

T = TypeVar("T")


class Open:
    """An admission that asks for no token."""

    async def issued(self) -> Issued:
        """Return no tokens."""
        return Issued({}, is_empty=True)


class Counted:
    """A database whose reads are counted."""

    def __init__(self, database: ServedDatabase) -> None:
        self.database = database
        self.reads = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read, and count."""
        self.reads += 1
        return await self.database.read(work)


def event(number: int) -> Event:
    """Return an event at a place."""
    return Event(Position(0, number), "job", Kind.TRIAL_ENDED, b"{}")


async def happen(database: ServedDatabase, *happenings: Happening) -> None:
    """Let this happen."""
    await database.transact(partial(feed.record, happenings=happenings))


def test_a_listener_is_told_nothing_where_it_is_quiet(
    database: ServedDatabase, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "QUIET_SECONDS", 0.1)

    async def scene() -> None:
        listener = Listener(Watched(), None, None)
        async with Audience(database, Open(), 1) as all_of_them:
            all_of_them.join(listener)
            quiet = 0
            async for events in all_of_them.follow(listener):
                assert not events
                quiet += 1
                if quiet == 3:
                    listener.leave()
        assert quiet == 3

    play(scene())


def test_what_happens_is_read_while_somebody_listens_and_only_then(
    database: ServedDatabase, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "PAUSE_SECONDS", 0.01)
    counted = Counted(database)

    async def scene() -> None:
        async with Audience(counted, Open(), 1) as all_of_them:
            await asyncio.sleep(0.1)
            assert counted.reads == 0
            listener = Listener(Watched(), None, None)
            all_of_them.join(listener)
            await asyncio.sleep(0.1)
            assert counted.reads > 1
            all_of_them.gone(listener)
            await asyncio.sleep(0.1)
            before = counted.reads
            await asyncio.sleep(0.1)
            assert counted.reads == before

    play(scene())


def test_a_listener_that_was_told_more_elsewhere_is_told_nothing_twice() -> None:
    listener = Listener(Watched(), Position(0, 5), None)
    listener.begin(Position(0, 5))
    listener.tell([event(4), event(5), event(6)], Position(0, 6))
    assert list(asyncio.run(listener.heard())) == [event(6)]
    listener.tell([], Position(0, 4))
    assert listener.position == Position(0, 6)


def test_a_listener_for_whom_too_much_waits_is_left() -> None:
    listener = Listener(Watched(), None, None)
    listener.begin(Position(0, 0))
    listener.tell([event(number) for number in range(1, MOST_PENDING + 1)], Position(0, MOST_PENDING))
    assert not listener.is_over
    listener.tell([event(MOST_PENDING + 1)], Position(0, MOST_PENDING + 1))
    assert listener.is_over


def test_a_listener_that_has_not_begun_waits_for_nothing() -> None:
    listener = Listener(Watched(), Position(0, 0), None)
    listener.tell([event(1)], Position(0, 1))
    listener.wake()
    assert list(asyncio.run(listener.heard())) == []
    assert listener.position == Position(0, 0)


def test_while_the_database_cannot_be_read_listeners_wait(
    database: ServedDatabase, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "PAUSE_SECONDS", 0.01)

    class Away(Counted):
        """A database that is away at first."""

        async def read(self, work: Callable[[Connection], T]) -> T:
            """Read, from the third time on."""
            if self.reads < 3:
                self.reads += 1
                raise RuntimeError
            return await super().read(work)

    async def scene() -> list[Event]:
        listener = Listener(Watched(), None, None)
        async with Audience(Away(database), Open(), 1) as all_of_them:
            all_of_them.join(listener)
            async for events in all_of_them.follow(listener):
                if events:
                    return list(events)
                if listener.position is not None:
                    await happen(database, happening(1))
        return []

    [told] = play(scene())
    assert told.job_id == "job"
