"""The database that a URL names."""

from service.errors import OpeningError
from service.store import opening
from service.store.postgres import PostgresDatabase
from service.store.sqlite import SQLiteDatabase

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
