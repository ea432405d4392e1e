"""A SQLite file as a database: one writer, readers beside it."""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
import tenacity
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from service.errors import UNREADABLE, DatabaseUnavailable, OpeningError
from service.store import integrity, opening, reading
from service.store.lock import LockFile

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5
"""How long another program may write before a transaction is given up."""
BUSY_PAUSE_SECONDS = 0.005
QUICK_SECONDS = 0.002
"""What a commit may hold the event loop up for."""


def file_of(url: URL) -> Path:
    """Return the file that a SQLite URL names.

    Raises:
        OpeningError: It names no plain file.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise OpeningError("the database must be a plain file; write sqlite+aiosqlite:///FILE")
    return Path(url.database)


def existing_file_of(url: URL) -> Path:
    """Return the file that a SQLite URL names, and that is there.

    Raises:
        OpeningError: It is not, or it is no plain file.
    """
    file = file_of(url)
    if not file.exists():
        raise OpeningError(f"{file} does not exist; name an existing database with --database-url")
    return file


def url_of(file: Path) -> URL:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(file))


def writing_engine(file: Path) -> Engine:
    """Return an engine of one connection, whose transactions take the write lock when they begin."""
    engine = sa.create_engine(
        URL.create("sqlite+pysqlite", database=str(file)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:  # noqa: ANN401  (the driver's own connection)
        # Autocommit mode: the driver would otherwise begin transactions of its own, after the first read.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading_engine(file: Path) -> AsyncEngine:
    """Return an engine whose transactions read, each one snapshot."""
    engine = create_async_engine(url_of(file))

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:  # noqa: ANN401  (the driver's own connection)
        connection.isolation_level = None  # as in ``writing_engine``
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def use_wal(engine: Engine) -> None:
    """Switch a file to write-ahead logging, so that readers and the writer never wait for each other.

    Raises:
        OpeningError: Its file system cannot do it.
    """
    with closing(engine.raw_connection()) as connection:
        (mode,) = connection.cursor().execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OpeningError(
            "the file system of the database, perhaps a network's, does not support SQLite's WAL mode; "
            "move the file to a local disk"
        )


def never_wait(engine: Engine) -> None:
    """Let the connection tell at once that another program writes: the event loop must not be held up."""
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA busy_timeout = 0")


def is_busy(error: BaseException) -> bool:
    """Tell whether an error says that another program writes."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY  # above the byte, why it is busy


class SQLiteDatabase:
    """A served file: locked against other servers, at this release's revision.

    A transaction's work runs on the event loop, since there the rows of its statements need not fight it for
    the interpreter; what waits for the disk, the commit, runs on a thread. Reads outside the hot path go
    through ``reader``.
    """

    def __init__(self, file: Path, lock: LockFile, engine: Engine) -> None:
        self.file = file
        self.name = str(file)
        self._lock = lock
        self._engine = engine
        self._connection = engine.connect()
        self._turn = asyncio.Lock()
        self._commit_seconds = math.inf
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self.reader = reading_engine(file)

    @classmethod
    def open(cls, url: URL) -> Self:
        """Lock a database file, create it where it is new, and check its revision.

        Raises:
            OpeningError: The file is in use, not a database, damaged, or at another revision.
        """
        file = file_of(url)
        lock = LockFile(file)
        lock.acquire()
        engine = writing_engine(file)
        try:
            integrity.ensure_whole(file)
            with opening.explained(file):
                with engine.begin() as connection:
                    opening.ensure_current(connection, url)
                    integrity.ensure_schema(connection, file)
                    integrity.ensure_writable(connection)
                use_wal(engine)
                never_wait(engine)
        except BaseException:
            engine.dispose()
            lock.release()
            raise
        return cls(file, lock, engine)

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:
        """Run ``work`` in one durable transaction; ``is_lone`` says that nobody else waits for the loop.

        Raises:
            DatabaseUnavailable: The database refused; nothing was written.
        """
        async with self._turn:
            try:
                await self._begin_when_free()
                outcome = work(self._connection)
                await self._commit(is_lone=is_lone)
            except BaseException as error:
                self._undo()
                if isinstance(error, sa.exc.OperationalError):
                    raise DatabaseUnavailable from error
                raise
            return outcome

    async def _commit(self, *, is_lone: bool) -> None:
        """Commit; a lone one on the loop if the disk has just been quick, since a thread takes longer."""
        began = time.perf_counter()
        if is_lone and self._commit_seconds < QUICK_SECONDS:
            self._connection.commit()
        else:
            committing = asyncio.get_running_loop().run_in_executor(self._thread, self._connection.commit)
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:
                await asyncio.wait([committing])  # two threads must not use the connection at a time
                raise
        self._commit_seconds = time.perf_counter() - began

    def _undo(self) -> None:
        """Leave the connection without a transaction, however far the last one came.

        After a commit that failed, SQLite may still be in it while SQLAlchemy thinks that it is over: the
        driver's connection goes first.
        """
        for connection in (self._connection.connection, self._connection):
            with suppress(sa.exc.DBAPIError, sqlite3.Error):
                connection.rollback()

    async def _begin_when_free(self) -> None:
        """Begin a transaction, as soon as no other program writes."""
        try:
            await self._begin()
        except sa.exc.OperationalError as error:
            if not is_busy(error):
                raise
            patiently = tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception(is_busy),
                stop=tenacity.stop_after_delay(BUSY_TIMEOUT_SECONDS),
                wait=tenacity.wait_fixed(BUSY_PAUSE_SECONDS),
                reraise=True,
            )
            await patiently(self._begin)

    async def _begin(self) -> None:
        self._connection.begin()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which reads, on one snapshot beside the transactions.

        Raises:
            DatabaseUnavailable: The database cannot be read.
        """
        try:
            async with self.reader.connect() as connection:
                return await connection.run_sync(work)
        except sa.exc.DBAPIError as error:
            raise DatabaseUnavailable(UNREADABLE) from error

    async def check(self) -> None:
        """Read from the database.

        Raises:
            DatabaseUnavailable: It cannot be read.
        """
        await self.read(reading.any_job)

    async def close(self) -> None:
        """Let go of the file and its lock."""
        await self.reader.dispose()
        self._connection.close()
        self._engine.dispose()
        self._thread.shutdown()
        self._lock.release()


def run_once(url: URL, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in a transaction on a file that somebody may serve meanwhile; a new one is set up first.

    Raises:
        OpeningError: The file is not a database, at another revision, or another program writes for too long.
    """
    file = file_of(url)
    engine = writing_engine(file)
    try:
        with opening.explained(file):
            with engine.begin() as connection:
                opening.ensure_current(connection, url)
                outcome = work(connection)
            use_wal(engine)
        return outcome
    finally:
        engine.dispose()
