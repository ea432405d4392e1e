"""Replicas tell the same, in the same order, however transactions end and servers are killed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.server import Child
from service.store import feed
from service.store.happening import Happening
from tests.service.listening import happen, happening, listening
from tests.service.tables import open_tables
from tests.service.wires import serving

IN_ORDER = 'SELECT detail FROM "Event" ORDER BY transaction_id, event_id'
WRITERS = 4
TRANSACTIONS = 60
LISTENERS = 3
LONG_SECONDS = 1.5
LAST = "last"
"""The job to which something happens when all else has."""


@contextmanager
def two_replicas(database_url: str, folder: Path) -> Iterator[list[Child]]:
    """Serve a database twice."""
    with ExitStack() as running:
        folders = [folder / "one", folder / "two"]
        for place in folders:
            place.mkdir()
        yield [running.enter_context(serving(place, "--database-url", database_url)) for place in folders]


async def record(connection: AsyncConnection, *happenings: Happening) -> None:
    """Let this happen in a transaction that goes on."""
    await connection.run_sync(partial(feed.record, happenings=happenings))


def test_what_commits_late_is_told_in_its_place_and_nothing_overtakes_it(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    early, lost, late, next_one = (happening(number) for number in range(4))

    async def scene() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as slow, engine.connect() as failing, engine.connect() as quick:
            await record(slow, early)
            await record(failing, lost)
            await record(quick, late)
            await quick.commit()
            await asyncio.sleep(LONG_SECONDS)
            await failing.rollback()
            await record(quick, next_one)
            await quick.commit()
            await asyncio.sleep(LONG_SECONDS)
            await slow.commit()
        await engine.dispose()

    with two_replicas(url, tmp_path) as (one, two), listening(one.url) as here, listening(two.url) as there:
        asyncio.run(scene())
        told = here.told(3)
        assert [event.happening for event in told] == [early, late, next_one]
        assert there.told(3) == told
        with listening(two.url, told[0].id) as again:
            assert again.told(2) == told[1:]


class Writers:
    """Transactions that begin, and commit or not, in any order."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._numbers = count(1)
        self._dice = random.Random(1)

    async def write(self, meanwhile: Awaitable[None]) -> None:
        """Write at the same time, and then one event after all, and after what is done meanwhile."""
        await asyncio.gather(meanwhile, self.hold(), *(self.go_on() for _ in range(WRITERS)))
        async with self._engine.begin() as connection:
            await record(connection, happening(0, LAST))

    async def hold(self) -> None:
        """Write at first what is committed at last."""
        async with self._engine.begin() as connection:
            await record(connection, happening(next(self._numbers)))
            await asyncio.sleep(LONG_SECONDS)

    async def go_on(self) -> None:
        """Write again and again, now and then in vain."""
        async with self._engine.connect() as connection:
            for _ in range(TRANSACTIONS):
                for _ in range(self._dice.randint(1, 3)):
                    await record(connection, happening(next(self._numbers)))
                    await asyncio.sleep(self._dice.uniform(0, 0.01))
                await (connection.rollback() if self._dice.random() < 0.1 else connection.commit())


def listen_here_and_there(urls: list[str], place: str, seed: int) -> list[int]:
    """Listen, for a while at one replica and then at another; return what was told."""
    dice, told = random.Random(seed), []
    while True:
        try:
            with listening(dice.choice(urls), place) as stream:
                for _ in range(dice.randint(1, 60)):
                    [event] = stream.told(1)
                    place = event.id
                    told.append(event.number)
                    if event.happening.job_id == LAST:
                        return told
        except httpx.TransportError:  # it has been killed
            continue


def test_who_listens_here_and_there_is_told_everything_once_though_replicas_are_killed(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()

    async def kill(doomed: Child) -> None:
        await asyncio.sleep(LONG_SECONDS + 0.5)
        doomed.process.kill()

    async def write(doomed: Child) -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        await Writers(engine).write(meanwhile=kill(doomed))
        await engine.dispose()

    with two_replicas(url, tmp_path) as replicas, ThreadPoolExecutor(LISTENERS) as pool:
        urls = [replica.url for replica in replicas]
        with listening(urls[0]) as stream:
            place = stream.last_id
        listeners = [pool.submit(listen_here_and_there, urls, place, seed) for seed in range(LISTENERS)]
        asyncio.run(write(replicas[0]))
        replicas[0].process.wait(10)
        heard = [listener.result(60) for listener in listeners]
    with open_tables(url) as tables:
        kept = [int(detail.split(":")[1].split(",")[0]) for (detail,) in tables.rows(IN_ORDER)]
    assert len(kept) > WRITERS * TRANSACTIONS
    assert kept != sorted(kept), "they did not commit in the order of their ids"
    assert heard == [kept] * LISTENERS


def test_who_listened_goes_on_where_it_was_when_the_service_is_killed_and_begins_anew(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    happened = [happening(number) for number in range(3)]
    with serving(tmp_path) as server, listening(server.url) as stream:
        happen(url, happened[:2])
        place = stream.told(2)[0].id
        server.process.kill()
        server.process.wait()
        with pytest.raises(httpx.TransportError):
            stream.told(1)
    happen(url, happened[2:])
    with serving(tmp_path) as server, listening(server.url, place) as again:
        assert [event.happening for event in again.told(2)] == happened[1:]
