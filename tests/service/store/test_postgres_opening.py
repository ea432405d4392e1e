"""Opening, upgrading and adopting databases on Postgres."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from benchmarks.postgres import Postgres
from benchmarks.server import free_port
from service.errors import DatabaseUnavailable, OpeningError
from service.store import adoption, locking, revision, schema
from service.store.databases import open_database
from service.store.opening import parsed
from service.store.postgres import PostgresDatabase, run_once
from service.store.sqlite import writing_engine

BERLIN = ZoneInfo("Europe/Berlin")
UrlOf = Callable[[Path], str]
NewUrl = Callable[[], str]


@pytest.fixture
def url(new_postgres_url: NewUrl) -> str:
    """Return the URL of an empty database."""
    return new_postgres_url()


def execute(url: str, *statements: str) -> None:
    """Change a database in one transaction."""

    def run(connection: Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    run_once(parsed(url), run)


def close(url: str) -> None:
    """Open a database and close it again."""
    asyncio.run(open_database(url).close())


def refusal(url: str) -> str:
    """Return why a database is not opened."""
    with pytest.raises(OpeningError) as refused:
        open_database(url)
    return str(refused.value)


DRAWN = "mab_random_generator_state"


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables but for leases and what is drawn: the streams of jobs without a seed."""
    found = {}
    for table in schema.metadata.sorted_tables:
        kept = [column for column in table.columns if column.name not in {"next_expiry", "lease_expires"}]
        rows = connection.execute(sa.select(*kept)).mappings()
        found[table.name] = sorted(
            (
                tuple(v for name, v in row.items() if name != DRAWN or row["mab_seed"] is not None)
                for row in rows
            ),
            key=repr,
        )
    return found


def as_the_reference_left_it(golden: Path, reference: Path, connection: Connection) -> None:
    """Create the reference's tables with the rows of its SQLite database."""
    for statement in (golden / "schema-postgres.sql").read_text().split(";"):
        if statement.strip():
            connection.exec_driver_sql(statement)
    tables = sa.MetaData()
    tables.reflect(connection)
    engine = sa.create_engine(f"sqlite:///{reference}")
    with engine.connect() as source:
        theirs = sa.MetaData()
        theirs.reflect(source)
        for table in tables.sorted_tables:
            rows = [dict(row) for row in source.execute(sa.select(theirs.tables[table.name])).mappings()]
            connection.execute(sa.insert(table), rows)
    engine.dispose()


def test_an_adoption_is_the_same_on_both_stores(
    golden: Path, reference: Path, url: str, url_of: UrlOf
) -> None:
    run_once(parsed(url), partial(as_the_reference_left_it, golden, reference))
    assert "was made by the reference server; run: batchbandit db adopt" in refusal(url)
    there, here = (adoption.adopt(each, BERLIN) for each in (url, url_of(reference)))
    assert there.backup is None
    assert there.failed_trials == here.failed_trials
    engine = writing_engine(reference)
    with engine.begin() as connection:
        expected = contents(connection)
    engine.dispose()
    assert run_once(parsed(url), contents) == expected
    assert expected["Trial"]
    close(url)


def test_an_adoption_that_fails_leaves_the_database_as_it_was(
    golden: Path, reference: Path, url: str
) -> None:
    run_once(parsed(url), partial(as_the_reference_left_it, golden, reference))
    execute(url, 'CREATE INDEX "ix_Trial_results" ON "Trial" (energy)')
    before = run_once(parsed(url), all_rows)
    with pytest.raises(OpeningError, match="already exists"):
        adoption.adopt(url, BERLIN)
    assert run_once(parsed(url), all_rows) == before
    assert "was made by the reference server" in refusal(url)


def all_rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of whatever tables there are."""
    tables = sa.MetaData()
    tables.reflect(connection)
    return {
        table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
        for table in tables.sorted_tables
    }


@pytest.mark.parametrize("start", ["0001", "0002", "0003"])
def test_every_older_revision_is_upgraded(url: str, start: str) -> None:
    run_once(parsed(url), partial(revision.upgrade, revision=start))
    assert "is at an older revision; run: batchbandit db upgrade" in refusal(url)
    upgraded = adoption.upgrade(url)
    assert upgraded is not None
    assert upgraded.backup is None
    assert adoption.upgrade(url) is None
    close(url)


def test_processes_that_open_an_empty_database_at_once_create_it_once(url: str) -> None:
    code = "import asyncio, sys; from service.store.databases import open_database as o; o(sys.argv[1])"
    opening = [subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE) for _ in range(4)]
    for process in opening:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    close(url)


def test_other_tables_are_refused_untouched(url: str) -> None:
    execute(url, "CREATE TABLE customer (id INTEGER)")
    assert "holds other tables; use another --database-url" in refusal(url)
    assert run_once(parsed(url), all_rows) == {"customer": []}


@pytest.mark.parametrize("named", ["nobody", "server", "database"])
def test_what_cannot_be_reached_is_said_without_the_password(
    postgres: Postgres, url: str, named: str
) -> None:
    wrong = {
        "nobody": url.replace("://", "://nobody:"),
        "server": f"postgresql+asyncpg://batchbandit:hunter2@127.0.0.1:{free_port()}/batchbandit",
        "database": postgres.url("missing"),
    }[named]
    wrong = str(wrong).replace("nobody:batchbandit", "nobody:hunter2")
    sentence = refusal(wrong)
    assert "cannot be used (" in sentence
    assert "see that the server runs" in sentence
    assert "hunter2" not in sentence


def test_while_the_tables_are_changed_the_check_fails(url: str) -> None:
    database = open_database(url)
    assert isinstance(database, PostgresDatabase)

    async def scene() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await database.check()
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({locking.MIGRATION})")
                with pytest.raises(DatabaseUnavailable, match="brought to another revision"):
                    await database.check()
            await database.check()
        finally:
            await connection.close()
            await database.close()

    asyncio.run(scene())
