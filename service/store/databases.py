"""The database that a URL names."""

from service.store import opening
from service.store.postgres import PostgresDatabase
from service.store.sqlite import SQLiteDatabase


def open_database(database_url: str) -> SQLiteDatabase | PostgresDatabase:
    """Open a database to serve it; create its schema where it is new.

    Raises:
        OpeningError: It cannot be served; the sentence says what to do.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() == "sqlite":
        return SQLiteDatabase.open(url)
    return PostgresDatabase.open(url)
