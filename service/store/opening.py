"""Whether a database may be served, in sentences."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from service.errors import OpeningError
from service.store import revision
from service.store.revision import State


def ensure_current(connection: Connection, file: Path) -> None:
    """Create the schema in an empty database; accept one at this release's revision.

    Raises:
        OpeningError: The database is anything else; it has not been touched.
    """
    state = revision.state_of(connection)
    if state is State.EMPTY:
        revision.upgrade(connection)
    elif state is not State.CURRENT:
        raise OpeningError(f"{file} {state.value}; {remedy(state, file)}")


def remedy(state: State, file: Path) -> str:
    """Return what to do about a database that cannot be served as it is."""
    option = f"--database-url {shlex.quote(f'sqlite+aiosqlite:///{file}')}"
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
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        reason = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error)
        advice = {
            "database is locked": "another program is using it: end that program and start again",
            "unable to open database file": "it must be a file, and its folder must exist and be writable",
            "attempt to write a readonly database": "the file and its folder must be writable",
            "database or disk is full": "make room on its disk",
            "disk I/O error": "look at its disk, then restore it from a backup",
            "file is not a database": "name a SQLite file, or one that does not exist yet",
        }.get(reason, "restore it from a backup")
        raise OpeningError(f"{file} cannot be opened ({reason}); {advice}") from error
