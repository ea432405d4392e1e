"""Reading a served database beside the service, whichever it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

TABLES = ("Job", "BatchSize", "GaussianTsArmState", "ArmHistory", "ArmSums", "Trial", "DeletedJob", "Answer")


class Tables:
    """An open reader."""

    def __init__(self, database_url: str, connection: AsyncConnection, runner: asyncio.Runner) -> None:
        self.database_url = database_url
        self._connection = connection
        self._runner = runner

    def rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Return what a query selects; table names stand in quotes, parameters after colons."""

        async def fetch() -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await self._connection.execute(sa.text(query), parameters)]

        return self._runner.run(fetch())

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables, in order."""
        columns = dict.fromkeys(TABLES, "*") | {"Event": "job_id, kind, detail"}  # whatever their numbers
        return {
            name: sorted(self.rows(f'SELECT {wanted} FROM "{name}"'), key=repr)  # noqa: S608  (constants)
            for name, wanted in columns.items()
        }


@contextmanager
def open_tables(database_url: str) -> Iterator[Tables]:
    """Read a database; each query sees what is committed."""
    with asyncio.Runner() as runner:
        engine = create_async_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        connection = runner.run(_connected(engine.connect()))
        try:
            yield Tables(database_url, connection, runner)
        finally:
            runner.run(connection.close())
            runner.run(engine.dispose())


async def _connected(connection: AsyncConnection) -> AsyncConnection:
    return await connection.start()
