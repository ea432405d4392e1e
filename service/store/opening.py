"""Whether a database may be served, in sentences."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url

from service.errors import OpeningError
from service.store import locking, revision
from service.store.revision import State

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
FORMS = "sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE"


def parsed(database_url: str) -> URL:
    """Return a database URL with the driver that serves it.

    Raises:
        OpeningError: It is no URL, or that of another kind of database.
    """
    try:
        url = make_url(database_url)
    except (sa.exc.ArgumentError, ValueError) as error:  # a port that is no number is a ValueError
        raise OpeningError(f"--database-url is not a database URL; write {FORMS}") from error
    kind = url.drivername.partition("+")[0]
    if kind not in DRIVERS:
        raise OpeningError(f"SQLite and Postgres are served, not {kind}; write {FORMS}")
    url = url.set(drivername=DRIVERS[kind])
    if "sslmode" in url.query:  # as libpq calls what asyncpg calls ssl
        mode = url.query["sslmode"]
        return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url


def name_of(url: URL) -> str:
    """Return how a database is called in sentences: a file, or a URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def ensure_current(connection: Connection, url: URL) -> None:
    """Create the schema in an empty database; accept one that this release can serve.

    Raises:
        OpeningError: The database is anything else; it has not been touched.
    """
    state = revision.state_of(connection)
    if state not in revision.SERVED:
        locking.claim_migration(connection)
        state = revision.state_of(connection)  # another process may have been at it
    if state is State.EMPTY:
        revision.upgrade(connection)
    else:
        ensure_served(connection, url)


def ensure_served(connection: Connection, url: URL) -> None:
    """Accept a database that this release can serve as it is.

    Raises:
        OpeningError: It is anything else.
    """
    state = revision.state_of(connection)
    if state not in revision.SERVED:
        raise OpeningError(f"{name_of(url)} {state.value}; {remedy(state, url)}")


def remedy(state: State, url: URL) -> str:
    """Return what to do about a database that cannot be served as it is."""
    option = f"--database-url {shlex.quote(url.render_as_string(hide_password=True))}"
    return {
        State.EMPTY: f"run: batchbandit serve {option}",
        State.BEHIND: f"run: batchbandit db upgrade {option}",
        State.AHEAD: "a newer release wrote it: install that release, or use another --database-url",
        State.REFERENCE: f"run: batchbandit db adopt [--timezone TZ] {option}",
        State.FOREIGN: "use another --database-url, or move its tables away",
    }[state]


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that cannot be opened into a sentence."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error, UnicodeDecodeError) as error:
        reason = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error)
        advice = {
            "database is locked": "another program is using it: end that program and start again",
            "unable to open database file": "it must be a file, and its folder must exist and be writable",
            "attempt to write a readonly database": "the file and its folder must be writable; if they "
            "are, its header is damaged: restore it from a backup",
            "database or disk is full": "make room on its disk",
            "disk I/O error": "make room on its disk; if there is room, look at it and restore a backup",
            "file is not a database": "name a SQLite file, or one that does not exist yet",
        }.get(reason, "restore it from a backup")
        raise OpeningError(f"{file} cannot be opened ({reason}); {advice}") from error


def unreachable(url: URL, error: Exception) -> str:
    """Return what to do about a Postgres database that cannot be used."""
    origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    reason = str(origin).rpartition(">: ")[2].strip().rstrip(".") or type(origin).__name__
    return (
        f"{name_of(url)} cannot be used ({reason}); see that the server runs, that the database exists and "
        "that --database-url names both and a user who may create tables there"
    )
