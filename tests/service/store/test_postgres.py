"""Transactions on Postgres: repeated where the database asks for it, refused or failed where it does not."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from service.errors import DatabaseUnavailable
from service.store import postgres as store
from service.store.databases import open_database
from service.store.postgres import CommitUnknown, PostgresDatabase

T = TypeVar("T")

NOTE = "INSERT INTO \"DeletedJob\" VALUES ('noted', 7)"
CUT = "SELECT pg_terminate_backend(pg_backend_pid())"


@pytest.fixture(scope="module")
def url(new_postgres_url: Callable[[], str]) -> str:
    """Return the URL of a database at head."""
    made = new_postgres_url()
    database = open_database(made)
    asyncio.run(database.close())
    return made


@pytest.fixture
def scene(url: str) -> Callable[[Callable[[PostgresDatabase], Coroutine[Any, Any, T]]], T]:
    """Return what plays a scene on the database, whose notes are gone."""

    def played(of: Callable[[PostgresDatabase], Coroutine[Any, Any, T]]) -> T:
        database = open_database(url)
        assert isinstance(database, PostgresDatabase)

        async def play() -> T:
            try:
                await ask(url, 'DELETE FROM "DeletedJob"')
                return await of(database)
            finally:
                await database.close()

        return asyncio.run(play())

    return played


Scene = Callable[[Callable[[PostgresDatabase], Coroutine[Any, Any, Any]]], Any]


async def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Run a statement beside the database."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


class Attempts:
    """Work that does something else at its first attempts."""

    def __init__(self, first: Callable[[Connection], object], times: int = 1) -> None:
        self.made = 0
        self._first = first
        self._times = times

    def __call__(self, connection: Connection) -> int:
        """Note, after what is in the way."""
        self.made += 1
        connection.exec_driver_sql(NOTE)
        if self.made <= self._times:
            self._first(connection)
        return self.made


def notes(url: str) -> int:
    """Return how many notes there are."""
    return len(asyncio.run(ask(url, 'SELECT * FROM "DeletedJob"')))


def saying(statement: str) -> Callable[[Connection], object]:
    """Return what executes a statement."""
    return lambda connection: connection.exec_driver_sql(statement)


def raising(code: str) -> Callable[[Connection], object]:
    """Return what makes the database raise an error of a code."""
    return saying(f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{code}'; END $$")


@pytest.mark.parametrize(
    "trouble",
    [raising("40001"), raising("40P01"), raising("57P01"), saying(CUT)],
    ids=["serialization failure", "deadlock", "shutdown", "dropped"],
)
def test_what_may_pass_is_tried_again(
    url: str, scene: Scene, trouble: Callable[[Connection], object]
) -> None:
    work = Attempts(trouble, times=2)
    assert scene(lambda database: database.transact(work)) == 3
    assert notes(url) == 1


def test_two_transactions_that_wait_for_each_other_both_succeed(url: str, scene: Scene) -> None:
    def locking(first: str, second: str) -> Callable[[Connection], int]:
        attempts = 0

        def work(connection: Connection) -> int:
            nonlocal attempts
            attempts += 1
            lock = sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))")
            connection.execute(lock, {"name": first})
            if attempts == 1:
                connection.exec_driver_sql("SELECT pg_sleep(0.3)")
            connection.execute(lock, {"name": second})
            return attempts

        return work

    async def crossed(database: PostgresDatabase) -> list[int]:
        return list(
            await asyncio.gather(database.transact(locking("a", "b")), database.transact(locking("b", "a")))
        )

    assert sorted(scene(crossed)) == [1, 2], "the database chose one to begin again"
    assert notes(url) == 0


def test_what_will_not_pass_is_not_tried_again(url: str, scene: Scene) -> None:
    work = Attempts(saying("INSERT INTO \"BatchSize\" VALUES ('nobody', 64)"), times=9)

    async def attempt(database: PostgresDatabase) -> None:
        with pytest.raises(sa.exc.IntegrityError):
            await database.transact(work)

    scene(attempt)
    assert work.made == 1
    assert notes(url) == 0


def test_work_that_raises_is_undone_and_its_exception_comes_back(url: str, scene: Scene) -> None:
    def fail(connection: Connection) -> None:
        connection.exec_driver_sql(NOTE)
        raise LookupError

    async def attempt(database: PostgresDatabase) -> None:
        with pytest.raises(LookupError):
            await database.transact(fail)

    scene(attempt)
    assert notes(url) == 0


@pytest.mark.parametrize("code", ["53100", "57014", "58030"], ids=["disk full", "cancelled", "i/o error"])
def test_what_the_database_cannot_do_now_is_unavailable(scene: Scene, code: str) -> None:
    async def attempt(database: PostgresDatabase) -> None:
        with pytest.raises(DatabaseUnavailable, match="nothing was written"):
            await database.transact(Attempts(raising(code), times=9))
        assert await database.transact(Attempts(saying("SELECT 1"))) == 1, "and it serves again"

    scene(attempt)


def test_attempts_end_at_the_deadline(url: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "DEADLINE_SECONDS", 0.5)
    work = Attempts(raising("40001"), times=10_000)

    async def attempt(database: PostgresDatabase) -> None:
        with pytest.raises(DatabaseUnavailable, match="nothing was written"):
            await database.transact(work)

    scene(attempt)
    assert 2 < work.made < 100, "there is a pause between them, and it grows"
    assert notes(url) == 0


LATE = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {trouble}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON "DeletedJob" DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION cut();
"""


@pytest.mark.parametrize(
    "trouble",
    ["PERFORM pg_terminate_backend(pg_backend_pid())", "PERFORM pg_sleep(2)"],
    ids=["lost", "past the deadline"],
)
def test_a_commit_whose_end_is_not_seen_is_not_said_to_have_failed(
    url: str, scene: Scene, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(store, "DEADLINE_SECONDS", 1.0)
    work = Attempts(saying("SELECT 1"))

    async def attempt(database: PostgresDatabase) -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute(LATE.format(trouble=trouble))
            with pytest.raises(CommitUnknown, match="may or may not have been done"):
                await database.transact(work)
            assert work.made == 1, "what may have been done is not done again"
        finally:
            await connection.execute('DROP TRIGGER late ON "DeletedJob"; DROP FUNCTION cut')
            await connection.close()

    scene(attempt)


def test_a_connection_that_was_cut_while_it_was_idle_is_replaced(
    url: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_SECONDS", 0.05)

    async def between_two_reports(database: PostgresDatabase) -> tuple[int, int]:
        backend = sa.text("SELECT pg_backend_pid()")
        first = await database.transact(lambda connection: connection.scalar(backend))
        await ask(url, f"SELECT pg_terminate_backend({first})")
        await asyncio.sleep(0.1)
        work = Attempts(saying("SELECT 1"))
        assert await database.transact(work) == 1, "it is found out before the work begins"
        return first, await database.transact(lambda connection: connection.scalar(backend))

    first, second = scene(between_two_reports)
    assert first != second


def test_a_connection_that_does_not_answer_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that a router has forgotten: here its server process is stopped."""
    monkeypatch.setattr(store, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(store, "PING_SECONDS", 0.3)

    async def silent(database: PostgresDatabase) -> int:
        backend = sa.text("SELECT pg_backend_pid()")
        first = await database.transact(lambda connection: connection.scalar(backend))
        os.kill(first, signal.SIGSTOP)
        try:
            await asyncio.sleep(0.1)
            work = Attempts(saying("SELECT 1"))
            return await database.transact(work)
        finally:
            os.kill(first, signal.SIGCONT)

    assert scene(silent) == 1


def test_transactions_read_what_others_have_committed(scene: Scene) -> None:
    def isolation(connection: Connection) -> object:
        return connection.exec_driver_sql("SHOW transaction_isolation").scalar()

    assert scene(lambda database: database.transact(isolation)) == "read committed"


def test_a_direct_connection_is_not_taken_for_a_pooled_one(scene: Scene) -> None:
    async def look(database: PostgresDatabase) -> tuple[bool, str]:
        def work(connection: Connection) -> tuple[bool, str]:
            return store.is_pooled(connection), str(
                connection.exec_driver_sql("SHOW enable_seqscan").scalar()
            )

        return await database.transact(work)

    assert scene(look) == (False, "off")
