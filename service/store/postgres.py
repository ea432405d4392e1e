"""Postgres as a database, shared by any number of replicas."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import asyncpg
import sqlalchemy as sa
import tenacity
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from service import metrics, tracing
from service.errors import UNREADABLE, DatabaseUnavailable, OpeningError
from service.store import locking, opening, reading

T = TypeVar("T")

DEADLINE_SECONDS = 10.0
"""How long a transaction may take, its repetitions included."""
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 1.0
"""A connection that has been idle for longer is asked for a sign of life before it is used."""
PING_SECONDS = 2.0
RECYCLE_SECONDS = 1800
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 1.0

# Every statement of the hot path finds its rows by an index; a plan made while a table was small, and kept
# with the prepared statement, would go on scanning it when it has grown.
SETTINGS = {
    "application_name": "batchbandit",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

# What pages read may need a whole table in another order, or two of them joined.
PAGE_SETTINGS = {"application_name": "batchbandit", "jit": "off"}

# What another attempt may get past: no connection, shutdown, crash, start, too many clients, a standby,
# serialization failure, deadlock.
TRANSIENT = ("08", "57P01", "57P02", "57P03", "53300", "25006", "40001", "40P01")
# What the database cannot do now: resources, operator's intervention, system and internal errors.
UNAVAILABLE = ("25006", "53", "57", "58", "XX")

UNKNOWN = (
    "The connection to the database was lost while it committed: what was asked for may or may not have been "
    "done; ask again."
)

DRIVER_ERRORS = (sa.exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost while the database committed."""


# What works through a pooler too, which gives each transaction another server connection: statements without
# names, prepared where they are executed.
POOLED = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": str}


def serving_engine(url: URL, *, is_pooled: bool) -> AsyncEngine:
    """Return the engine of the transactions."""
    # The statements that follow a lock read what its holder has done.
    return _engine(url, SETTINGS, is_pooled=is_pooled, isolation_level="READ COMMITTED")


def reading_engine(url: URL, *, is_pooled: bool) -> AsyncEngine:
    """Return the engine of what is read beside the transactions: each time one snapshot."""
    return _engine(
        url,
        PAGE_SETTINGS,
        is_pooled=is_pooled,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )


def _engine(url: URL, settings: dict[str, str], *, is_pooled: bool, **options: Any) -> AsyncEngine:  # noqa: ANN401  (SQLAlchemy's)
    """Return an engine whose connections are tried before use where they have been idle."""
    engine = create_async_engine(
        url,
        pool_size=2,
        max_overflow=2,
        pool_recycle=RECYCLE_SECONDS,
        connect_args={"timeout": CONNECT_SECONDS} | (POOLED if is_pooled else {"server_settings": settings}),
        **options,
    )

    @event.listens_for(engine.sync_engine, "checkin")
    def rest(_: object, record: Any) -> None:  # noqa: ANN401  (the pool's own)
        record.info["idle since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ping(connection: Any, record: Any, _: object) -> None:  # noqa: ANN401  (the driver's and the pool's own)
        if time.monotonic() - record.info.get("idle since", time.monotonic()) > IDLE_SECONDS:
            try:
                # A connection that a router has forgotten does not answer at all.
                await_only(asyncio.wait_for(connection.driver_connection.execute("SELECT 1"), PING_SECONDS))
            except Exception as error:
                connection.driver_connection.terminate()  # closing it would wait for an answer again
                raise sa.exc.DisconnectionError from error

    return engine


def state_of(error: BaseException) -> str:
    """Return Postgres' code for an error, empty where it has none."""
    origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def is_transient(error: BaseException) -> bool:
    """Tell whether another attempt may succeed where this error ended one."""
    if isinstance(error, CommitUnknown):
        return False
    if isinstance(error, OSError) or (isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated):
        return True
    return state_of(error).startswith(TRANSIENT)


def is_answered(error: BaseException) -> bool:
    """Tell whether an error is what the database said, and not that it was not heard."""
    return isinstance(error, sa.exc.DBAPIError) and not error.connection_invalidated


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error is the database's, whatever it was asked."""
    return (
        is_transient(error)
        or state_of(error).startswith(UNAVAILABLE)
        or isinstance(error, sa.exc.TimeoutError)
    )


def note_retry(attempts: tenacity.RetryCallState) -> None:
    """Count that a transaction begins again."""
    metrics.RETRIES.inc()
    tracing.note_retry(attempts.attempt_number)


def is_pooled(connection: Connection) -> bool:
    """Tell whether there is a pooler between this process and the server.

    It shows in the process that answers: a pooler made up the one that was named when the connection began.
    """
    named = connection.connection.driver_connection.get_server_pid()  # type: ignore[union-attr]  # asyncpg's own
    return bool(connection.scalar(sa.select(sa.func.pg_backend_pid())) != named)


class PostgresDatabase:
    """A served Postgres database at this release's revision.

    What makes any number of replicas correct is that a transaction locks the rows of the jobs it touches.
    """

    def __init__(self, url: URL, *, is_pooled: bool) -> None:
        self.name = opening.name_of(url)
        self._engine = serving_engine(url, is_pooled=is_pooled)
        self._reader = reading_engine(url, is_pooled=is_pooled)
        self._retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
            before_sleep=note_retry,
            reraise=True,
        )

    @classmethod
    def open(cls, url: URL) -> Self:
        """Create the schema where the database is new, and check its revision.

        Raises:
            OpeningError: It cannot be reached, or is at another revision.
        """

        def look(connection: Connection) -> bool:
            opening.ensure_current(connection, url)
            return is_pooled(connection)

        return cls(url, is_pooled=run_once(url, look))

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:  # noqa: ARG002
        """Run ``work`` in one durable transaction, again where the database asks for that.

        Never holds the loop up, ``is_lone`` or not.

        Raises:
            DatabaseUnavailable: The database refused; nothing was written, or the sentence says otherwise.
        """
        return await self._within_time(self._engine, work)

    async def _within_time(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._retrying(self._attempt, engine, work)
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailable from error
            raise

    async def _attempt(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        is_committing = False
        try:
            async with engine.connect() as connection:
                outcome = await connection.run_sync(work)
                is_committing = True
                await connection.commit()
        except BaseException as error:  # the deadline's cancellation among them
            if is_committing and not is_answered(error):
                raise CommitUnknown(UNKNOWN) from error
            raise
        return outcome

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which reads, on one snapshot; again where the connection is lost.

        Raises:
            DatabaseUnavailable: It cannot be read.
        """
        return await self._within_time(self._reader, work)

    async def check(self) -> None:
        """Read from the database.

        Raises:
            DatabaseUnavailable: It cannot be read, or its tables are being changed.
        """

        def look(connection: Connection) -> None:
            if locking.is_migrating(connection):
                raise DatabaseUnavailable("The database is being brought to another revision.")
            reading.any_job(connection)

        try:
            async with asyncio.timeout(CONNECT_SECONDS), self._engine.connect() as connection:
                await connection.run_sync(look)
        except DRIVER_ERRORS as error:
            raise DatabaseUnavailable(UNREADABLE) from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.dispose()
        await self._reader.dispose()


def read_snapshot(connection: Connection) -> None:
    """Let a transaction, at its beginning, read one snapshot and write nothing."""
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def run_once(url: URL, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in a transaction on a connection of its own; for commands, not for the service.

    Raises:
        OpeningError: The database cannot be reached, or refuses.
    """

    async def run() -> T:
        engine = create_async_engine(
            url, poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS} | POOLED
        )
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(run())
    except DRIVER_ERRORS as error:
        raise OpeningError(opening.unreachable(url, error)) from error
