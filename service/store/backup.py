"""Copies of a SQLite database that are whole, beside a service that goes on writing."""

import os
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import URL

from service.errors import OpeningError
from service.store import integrity, opening
from service.store.sqlite import existing_file_of, file_of


def back_up(database_url: str, target: Path) -> int:
    """Copy a SQLite database that may be served meanwhile into a new file; return its size in bytes.

    Raises:
        OpeningError: It is no SQLite database, or damaged, or the target exists or cannot be written.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() != "sqlite":
        raise OpeningError(
            "only a SQLite file is backed up by this command; use Postgres' own: pg_dump --format=custom "
            "--file FILE, with the same host, user and database"
        )
    copy(existing_file_of(url), target)
    return target.stat().st_size


def back_up_beside(url: URL) -> Path | None:
    """Copy a SQLite database into a file of its folder and return that, None for another database."""
    if url.get_backend_name() != "sqlite":
        return None
    file = file_of(url)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = file.with_name(f"{file.name}.backup-{moment}")
    copy(file, backup)
    return backup


def copy(file: Path, target: Path) -> None:
    """Copy a database through SQLite, as of one moment; the target is there once it is whole, or not at all.

    Raises:
        OpeningError: The database is damaged, or the target exists or cannot be written.
    """
    if target.exists():
        raise OpeningError(f"{target} exists; name a file that does not exist yet")
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with opening.explained(file):
            _copy_pages(file, partial)
        _publish(partial, target)
    except OSError as error:
        raise OpeningError(f"{target} cannot be written ({error.strerror}); name another file") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy_pages(file: Path, partial: Path) -> None:
    partial.touch(mode=0o600, exist_ok=False)  # an OSError says more than SQLite does
    with closing(integrity.read_only(file)) as source, closing(sqlite3.connect(partial)) as target:
        # In one step: one that is interrupted by a writer begins again, under load for ever.
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # a file that is whole by itself
        found = integrity.damages(target)
    if found:
        raise OpeningError(f"{file} is damaged ({found[0]}) and has not been copied; {integrity.RESTORE}")


def _publish(partial: Path, target: Path) -> None:
    """Give a file its name, unless it has been given to another; durably."""
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(partial, target)
    except FileExistsError as error:
        raise OpeningError(f"{target} exists; name a file that does not exist yet") from error
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
