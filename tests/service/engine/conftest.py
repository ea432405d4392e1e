"""A database of each kind for the tests that run the engine in process, and the loop that it belongs to."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from service.store import schema
from service.store.databases import ServedDatabase, open_database
from tests.service.engine.scenes import Play
from tests.service.tables import Tables, open_tables


@pytest.fixture(scope="session")
def play() -> Iterator[Play]:
    """Return what runs a scene; all in one loop, to which open connections belong."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a new database."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("new_postgres_url")()
        return url
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('engine') / 'engine.db'}"


@pytest.fixture(scope="session")
def opened(database_url: str, play: Play) -> Iterator[ServedDatabase]:
    """Return an open database, with what other tests have left in it."""
    database = open_database(database_url)
    yield database
    play(database.close())


@pytest.fixture(scope="session")
def empty(opened: ServedDatabase, play: Play) -> Callable[[], ServedDatabase]:
    """Return what empties the open database and returns it."""

    def delete(connection: Connection) -> None:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.compatibility:
                connection.execute(sa.delete(table))

    def emptied() -> ServedDatabase:
        play(opened.transact(delete))
        return opened

    return emptied


@pytest.fixture
def database(empty: Callable[[], ServedDatabase]) -> ServedDatabase:
    """Return an open database that is empty."""
    return empty()


@pytest.fixture(scope="session")
def tables(opened: ServedDatabase, database_url: str) -> Iterator[Tables]:  # noqa: ARG001  (it makes the tables)
    """Return a reader of the database beside it."""
    with open_tables(database_url) as reader:
        yield reader
