"""``batchbandit db check``: the store's structure, and what it keeps against the invariants of the domain."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from core.finding import RESTORE, Finding
from service.store import integrity, opening
from service.store.inspection import Inspected, inspect
from service.store.postgres import read_snapshot, run_once
from service.store.sqlite import existing_file_of

Say = Callable[[Finding], None]


def check(database_url: str, say: Say) -> Inspected:
    """Look at a whole database in one snapshot, which may be served meanwhile; tell each finding.

    Raises:
        OpeningError: It cannot be opened, or is not at a revision of this release.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() == "sqlite":
        return _check_file(url, say)

    def run(connection: Connection) -> Inspected:
        read_snapshot(connection)
        return _inspect(connection, url, say)

    return run_once(url, run)


def _check_file(url: URL, say: Say) -> Inspected:
    file = existing_file_of(url)
    with _snapshot(file) as (driver, connection):
        found = list(_structure(driver))
        for finding in found:
            say(finding)
        # What a damaged tree leads to is not what was written.
        return Inspected() if found else _inspect(connection, url, say)


@contextmanager
def _snapshot(file: Path) -> Iterator[tuple[sqlite3.Connection, Connection]]:
    """Read a SQLite file in one transaction: the driver's connection, and SQLAlchemy's over it."""
    with opening.explained(file), closing(integrity.read_only(file)) as driver:
        engine = sa.create_engine("sqlite+pysqlite://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as connection:
            driver.execute("BEGIN")
            yield driver, connection


def _structure(driver: sqlite3.Connection) -> Iterator[Finding]:
    damages = integrity.damages(driver)
    for damage in damages:
        yield Finding(None, None, damage, integrity.RESTORE)
    if damages:  # which the look at parents may come upon
        return
    for table, row, parent, _ in driver.execute("PRAGMA foreign_key_check"):
        yield Finding(None, None, f"row {row} of {table} belongs to no row of {parent}", RESTORE)


def _inspect(connection: Connection, url: URL, say: Say) -> Inspected:
    opening.ensure_served(connection, url)
    inspected = Inspected()
    for finding in inspect(connection, inspected):
        say(finding)
    return inspected
