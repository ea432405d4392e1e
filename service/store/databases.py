"""The database that a URL names."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from service.errors import OpeningError
from service.store import opening, postgres, sqlite
from service.store.postgres import PostgresDatabase
from service.store.sqlite import SQLiteDatabase

T = TypeVar("T")

ServedDatabase = SQLiteDatabase | PostgresDatabase


def ensure_shareable(database_url: str) -> None:
    """See that several processes can serve a database together.

    Raises:
        OpeningError: It is one that a single process serves.
    """
    if opening.parsed(database_url).get_backend_name() == "sqlite":
        raise OpeningError("a SQLite file is served by one process: use --workers 1, or Postgres")


def open_database(database_url: str) -> ServedDatabase:
    """Open a database to serve it; create its schema where it is new.

    Raises:
        OpeningError: It cannot be served; the sentence says what to do.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase.open(url)
    return PostgresDatabase.open(url)


def run_beside(database_url: str, work: Callable[[Connection], T], *, must_exist: bool = False) -> T:
    """Run ``work`` in a transaction of its own, whoever serves the database; a new one is set up first.

    A SQLite file that ``must_exist`` is not made: its name may be mistyped.

    Raises:
        OpeningError: The database cannot be used; the sentence says what to do.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() == "sqlite":
        if must_exist:
            sqlite.existing_file_of(url)
        return sqlite.run_once(url, work)

    def run(connection: Connection) -> T:
        opening.ensure_current(connection, url)
        return work(connection)

    return postgres.run_once(url, run)
