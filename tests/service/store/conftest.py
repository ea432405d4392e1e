"""Databases to test on: served ones, older ones, and the one that the reference wrote."""

import asyncio
import gzip
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from service.store import revision
from service.store.opening import parsed
from service.store.sqlite import SQLiteDatabase, writing_engine

ROOT = Path(__file__).parents[3]

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
def transaction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transaction]:
    """Return what begins a transaction on an empty database at head, to be rolled back at its end."""
    engine = writing_engine(tmp_path_factory.mktemp("head") / "head.db")
    with engine.begin() as connection:
        revision.upgrade(connection)

    @contextmanager
    def begun() -> Iterator[Connection]:
        with engine.connect() as connection, connection.begin() as begun:
            yield connection
            begun.rollback()

    yield begun
    engine.dispose()


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], list[str]]:
    """Return what reads a whole database as SQL, to compare it with another."""

    def dump(file: Path) -> list[str]:
        with closing(sqlite3.connect(file)) as connection:
            return list(connection.iterdump())

    return dump
