"""Group commit: who shares a transaction, who is refused, and what happens at the end."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from core.records import Trial
from service.engine import commit
from service.engine.commands import Registered, Suggest
from service.engine.commit import GroupCommit
from service.errors import DatabaseUnavailable, Overloaded, Unavailable, UnknownJob
from service.store import sqlite
from service.store.databases import ServedDatabase
from tests.service.engine.scenes import Play, registration

T = TypeVar("T")


class Counted:
    """A database that counts its transactions and can make them wait."""

    def __init__(self, database: ServedDatabase) -> None:
        self.database = database
        self.transactions = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:
        """Run ``work`` once the gate is open."""
        self.transactions += 1
        await self.gate.wait()
        return await self.database.transact(work, is_lone=is_lone)


async def settled() -> None:
    """Let every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_commands_that_arrive_during_a_transaction_share_the_next(
    database: ServedDatabase, play: Play
) -> None:
    async def scene() -> tuple[int, int]:
        counted = Counted(database)
        async with GroupCommit(counted, 100) as engine:
            await engine.submit(registration())
            alone = counted.transactions
            counted.gate.clear()
            asked = [asyncio.create_task(engine.submit(Suggest("job"))) for _ in range(1)]
            await settled()
            asked += [asyncio.create_task(engine.submit(Suggest("job"))) for _ in range(20)]
            await settled()
            counted.gate.set()
            trials = await asyncio.gather(*asked)
            assert [trial.trial_number for trial in trials] == list(range(1, 22))
            return alone, counted.transactions

    assert play(scene()) == (1, 3)


def test_a_command_that_breaks_the_transaction_breaks_its_own_alone(
    database: ServedDatabase, play: Play
) -> None:
    async def scene() -> list[object]:
        async with GroupCommit(database, 100) as engine:
            await engine.submit(registration())
            # No database can be asked for a text that is not Unicode: the read for the whole batch fails.
            names = ["job", "job", "\ud800", "job", "nobody"]
            asked = [asyncio.create_task(engine.submit(Suggest(name))) for name in names]
            return list(await asyncio.gather(*asked, return_exceptions=True))

    first, second, broken, third, unknown = play(scene())
    assert isinstance(broken, UnicodeEncodeError | DBAPIError)
    assert isinstance(unknown, UnknownJob)
    numbers = [trial.trial_number for trial in (first, second, third) if isinstance(trial, Trial)]
    assert numbers == [1, 2, 3]


def test_a_full_queue_refuses_at_once_and_keeps_what_it_has(database: ServedDatabase, play: Play) -> None:
    async def scene() -> None:
        counted = Counted(database)
        async with GroupCommit(counted, 3) as engine:
            await engine.submit(registration())
            counted.gate.clear()
            asked = [asyncio.create_task(engine.submit(Suggest("job")))]
            await settled()
            asked += [asyncio.create_task(engine.submit(Suggest("job"))) for _ in range(3)]
            await settled()
            with pytest.raises(Overloaded) as refusal:
                await engine.submit(Suggest("job"))
            assert refusal.value.headers["Retry-After"]
            counted.gate.set()
            assert [trial.trial_number for trial in await asyncio.gather(*asked)] == [1, 2, 3, 4]

    play(scene())


def test_leaving_answers_what_was_accepted_and_accepts_nothing_more(
    database: ServedDatabase, play: Play
) -> None:
    async def scene() -> None:
        engine = GroupCommit(database, 100)
        async with engine:
            asked = [asyncio.create_task(engine.submit(registration()))]
            asked += [asyncio.create_task(engine.submit(Suggest("job"))) for _ in range(5)]
            await settled()
        registered, *trials = await asyncio.gather(*asked)
        assert registered == Registered(registration().specification, created=True)
        assert [trial.trial_number for trial in trials] == [1, 2, 3, 4, 5]
        with pytest.raises(Unavailable):
            await engine.submit(Suggest("job"))

    play(scene())


def test_a_client_that_went_away_disturbs_nobody(database: ServedDatabase, play: Play) -> None:
    async def scene() -> list[int]:
        async with GroupCommit(database, 100) as engine:
            await engine.submit(registration())
            asked = [asyncio.create_task(engine.submit(Suggest("job"))) for _ in range(3)]
            await asyncio.sleep(0)
            asked[1].cancel()
            return [asked_one.result().trial_number for asked_one in (asked[0], asked[2]) if await asked_one]

    assert play(scene()) == [1, 2], "what nobody waits for any more is not begun"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_is_held_by_another_is_unavailable_and_comes_back(
    database: ServedDatabase, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)

    async def scene() -> None:
        async with GroupCommit(database, 100) as engine:
            await engine.submit(registration())
            with closing(sqlite3.connect(database.name, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(DatabaseUnavailable):
                    await engine.submit(Suggest("job"))
            assert (await engine.submit(Suggest("job"))).trial_number == 1

    play(scene())


def test_who_has_waited_too_long_is_refused_and_nothing_is_done(
    database: ServedDatabase, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "PATIENCE_SECONDS", 0.05)

    async def scene() -> Trial:
        counted = Counted(database)
        async with GroupCommit(counted, 100) as engine:
            await engine.submit(registration())
            counted.gate.clear()
            first = asyncio.create_task(engine.submit(Suggest("job")))
            await settled()
            late = asyncio.create_task(engine.submit(Suggest("job")))
            await asyncio.sleep(0.1)
            counted.gate.set()
            await first
            with pytest.raises(DatabaseUnavailable, match="nothing was written"):
                await late
            trial = await engine.submit(Suggest("job"))
            assert isinstance(trial, Trial)
            return trial

    assert play(scene()).trial_number == 2
