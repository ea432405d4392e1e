"""Transactions on a served file: whole or not at all, and well again after a refusal."""

import asyncio
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from service.errors import DatabaseUnavailable, OpeningError
from service.store import opening, sqlite
from service.store.sqlite import SQLiteDatabase, use_wal, writing_engine

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]


def note(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO DeletedJob VALUES ('noted', 7)")


def notes(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        [count] = connection.execute("SELECT count(*) FROM DeletedJob").fetchone()
        assert isinstance(count, int)
        return count


def test_work_that_raises_is_undone_and_its_exception_comes_back(file: Path, serve: Serve) -> None:
    def fail(connection: Connection) -> None:
        note(connection)
        raise LookupError

    with serve(file) as database:
        with pytest.raises(LookupError):
            asyncio.run(database.transact(fail))
        assert notes(file) == 0
        asyncio.run(database.transact(note))
        assert notes(file) == 1


@pytest.mark.parametrize("is_lone", [True, False])
def test_after_a_commit_that_failed_the_database_serves_again(
    file: Path, serve: Serve, *, is_lone: bool
) -> None:
    def orphan_until_the_end(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO BatchSize VALUES ('nobody', 64)")

    async def scene(database: SQLiteDatabase) -> None:
        await database.transact(note)
        with pytest.raises(sa.exc.IntegrityError):
            await database.transact(orphan_until_the_end, is_lone=is_lone)
        with closing(sqlite3.connect(file, timeout=0)) as other, other:
            other.execute("DELETE FROM DeletedJob")  # nothing is locked
        await database.transact(note)

    with serve(file) as database:
        asyncio.run(scene(database))
        assert notes(file) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a file's size is Linux'")
def test_a_disk_that_was_full_for_a_moment_is_written_again(file: Path, serve: Serve) -> None:
    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO DeletedJob VALUES (hex(randomblob(1000000)), 7)")

    async def scene(database: SQLiteDatabase) -> None:
        await database.transact(note)
        allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, allowed[1]))
        try:
            for _ in range(2):
                with pytest.raises(DatabaseUnavailable, match="nothing was written"):
                    await database.transact(fill)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
            signal.signal(signal.SIGXFSZ, handler)
        await database.transact(fill)

    with serve(file) as database:
        asyncio.run(scene(database))
        assert notes(file) == 2


def test_a_transaction_that_is_cancelled_while_it_commits_is_whole(file: Path, serve: Serve) -> None:
    async def scene(database: SQLiteDatabase) -> None:
        noting = asyncio.create_task(database.transact(note))
        await asyncio.sleep(0)  # it has begun, and its commit is on the thread
        noting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await noting
        with pytest.raises(sa.exc.IntegrityError):
            await database.transact(note)  # noted already

    with serve(file) as database:
        asyncio.run(scene(database))
        assert notes(file) == 1


def test_transactions_asked_for_at_once_are_made_one_after_the_other(file: Path, serve: Serve) -> None:
    def count_up(connection: Connection) -> int:
        connection.exec_driver_sql(
            "INSERT INTO DeletedJob VALUES ('counter', 1) "
            "ON CONFLICT DO UPDATE SET last_trial_number = last_trial_number + 1"
        )
        counted = connection.exec_driver_sql("SELECT last_trial_number FROM DeletedJob").scalar()
        assert isinstance(counted, int)
        return counted

    async def together(database: SQLiteDatabase) -> list[int]:
        return await asyncio.gather(*(database.transact(count_up) for _ in range(20)))

    with serve(file) as database:
        assert asyncio.run(together(database)) == list(range(1, 21))


def test_while_another_program_writes_transactions_are_refused_and_then_taken_again(
    file: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with serve(file) as database, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="did not take the transaction and nothing was written"):
            asyncio.run(database.transact(note))
        other.execute("ROLLBACK")
        asyncio.run(database.transact(note))
        assert notes(file) == 1


def test_while_another_program_writes_a_transaction_waits_and_the_loop_goes_on(
    file: Path, serve: Serve
) -> None:
    async def scene(database: SQLiteDatabase) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            noting = asyncio.create_task(database.transact(note))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not noting.done()
            other.execute("ROLLBACK")
            await noting

    with serve(file) as database:
        asyncio.run(scene(database))
        assert notes(file) == 1


def test_a_transaction_is_the_only_writer_from_its_first_read_on(file: Path, serve: Serve) -> None:
    def read_and_be_disturbed(connection: Connection) -> None:
        assert connection.exec_driver_sql("SELECT * FROM DeletedJob").all() == []
        with (
            closing(sqlite3.connect(file, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("INSERT INTO DeletedJob VALUES ('disturbed', 7)")
        note(connection)

    with serve(file) as database:
        asyncio.run(database.transact(read_and_be_disturbed))
        assert notes(file) == 1


def test_a_database_that_cannot_be_read_fails_its_check(file: Path, serve: Serve) -> None:
    with serve(file) as database:
        asyncio.run(database.check())
        with closing(sqlite3.connect(file)) as other:
            other.execute('DROP TABLE "Job"')
        with pytest.raises(DatabaseUnavailable, match="cannot be read"):
            asyncio.run(database.check())


def test_foreign_keys_hold(file: Path, serve: Serve) -> None:
    def orphan(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO BatchSize VALUES ('nobody', 64)")

    with serve(file) as database, pytest.raises(sa.exc.IntegrityError):
        asyncio.run(database.transact(orphan))


def test_a_reader_that_keeps_a_file_from_wal_mode_is_named_in_a_sentence(
    file: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(file):
        pass
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = DELETE")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM DeletedJob").fetchall()
        engine = writing_engine(file)
        with pytest.raises(OpeningError, match="another program is using it"), opening.explained(file):
            use_wal(engine)
        engine.dispose()
