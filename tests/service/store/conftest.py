"""Databases to test on: served ones, older ones, and the one that the reference wrote."""

import asyncio
import gzip
import inspect
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import greenlet_spawn

from service.store import revision
from service.store.opening import parsed
from service.store.postgres import serving_engine
from service.store.sqlite import SQLiteDatabase, writing_engine

ROOT = Path(__file__).parents[3]

T = TypeVar("T")


class Play(Protocol):
    """What runs a function in the loop of its connections."""

    def __call__(self, function: Callable[[], T], /) -> T:
        """Return what the function returns."""


Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
Transaction = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Return the folder of what the reference made."""
    return shared / "golden"


@pytest.fixture(scope="session")
def head() -> str:
    """Return the newest revision, which is the last of the files."""
    return max(path.name[:4] for path in (ROOT / "service/store/migrations/versions").glob("0*.py"))


@pytest.fixture
def reference(golden: Path, tmp_path: Path) -> Path:
    """Return a copy of the database that the reference wrote."""
    file = tmp_path / "reference.db"
    file.write_bytes(gzip.decompress((golden / "reference.sqlite.gz").read_bytes()))
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the name of a database that does not exist yet."""
    return tmp_path / "batchbandit.db"


@pytest.fixture
def older(file: Path) -> Path:
    """Return an empty database at the first revision."""
    engine = writing_engine(file)
    with engine.begin() as connection:
        revision.upgrade(connection, revision.REFERENCE_REVISION)
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def url_of() -> Callable[[Path], str]:
    """Return what makes a file's URL."""
    return "sqlite+aiosqlite:///{}".format


@pytest.fixture(scope="session")
def serve(url_of: Callable[[Path], str]) -> Serve:
    """Return what opens a database for the length of a context."""

    @contextmanager
    def opened(file: Path) -> Iterator[SQLiteDatabase]:
        database = SQLiteDatabase.open(parsed(url_of(file)))
        try:
            yield database
        finally:
            asyncio.run(database.close())

    return opened


@pytest.fixture(scope="session")
def play() -> Iterator[Play]:
    """Return what runs a function that talks to a database in the loop of its connections."""
    with asyncio.Runner() as runner:

        def run(function: Callable[[], T]) -> T:
            return runner.run(greenlet_spawn(function))

        yield run


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Let ``play`` run the tests that ask, be it indirectly, for an engine."""
    if "engine" not in pyfuncitem.fixturenames:
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    play: Any = pyfuncitem.funcargs["play"]
    play(partial(pyfuncitem.obj, **arguments))
    return True


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, play: Play
) -> Iterator[Engine]:
    """Return the engine of a database at head, as the service has it; for use inside ``play``."""
    if request.param == "sqlite":
        made = writing_engine(tmp_path_factory.mktemp("head") / "head.db")
    else:
        url = parsed(request.getfixturevalue("new_postgres_url")())
        made = serving_engine(url, is_pooled=False).sync_engine

    def migrate() -> None:
        with made.begin() as connection:
            revision.upgrade(connection)

    play(migrate)
    yield made
    play(made.dispose)


@pytest.fixture(scope="module")
def transaction(engine: Engine) -> Transaction:
    """Return what begins a transaction on an empty database at head, to be rolled back at its end."""

    @contextmanager
    def begun() -> Iterator[Connection]:
        with engine.connect() as connection, connection.begin() as begun:
            yield connection
            begun.rollback()

    return begun


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], list[str]]:
    """Return what reads a whole database as SQL, to compare it with another."""

    def dump(file: Path) -> list[str]:
        with closing(sqlite3.connect(file)) as connection:
            return list(connection.iterdump())

    return dump


@pytest.fixture
def connection(inhabited: Engine, play: Play) -> Iterator[Connection]:
    """Return a connection, to the database that a module has filled, in a transaction that is rolled back."""
    connection = play(inhabited.connect)
    transaction = play(connection.begin)
    yield connection
    play(transaction.rollback)
    play(connection.close)


@pytest.fixture
def statements(connection: Connection) -> list[tuple[str, Any]]:
    """Return the statements that the connection executes, as they come, with the parameters of a row."""
    seen: list[tuple[str, Any]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def see(*arguments: Any) -> None:  # noqa: ANN401  (SQLAlchemy's own)
        _, _, statement, parameters, _, executemany = arguments
        seen.append((statement, parameters[0] if executemany else parameters))

    return seen
