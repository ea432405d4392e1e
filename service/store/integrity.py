"""Whether a SQLite file is whole: its pages and trees, its indexes against its tables, and its schema."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from service.errors import OpeningError
from service.store import opening, revision, schema

MAGIC = b"SQLite format 3\0"
SMALLEST_PAGE = 512
MOST_DAMAGES = 20
RESTORE = "restore it from a backup, or dump what can be read with: sqlite3 FILE .recover"

Signature = set[tuple[object, ...]]

_SIGNATURE = (
    "SELECT type, name, tbl_name FROM sqlite_master WHERE type IN ('table', 'index')",
    """SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk
       FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table'""",
    """SELECT t.name, k."table", k."from", k."to", k.on_delete
       FROM sqlite_master AS t JOIN pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'""",
    """SELECT i.name, k.seqno, k.name
       FROM sqlite_master AS i JOIN pragma_index_info(i.name) AS k WHERE i.type = 'index'""",
)


def read_only(file: Path) -> sqlite3.Connection:
    """Open a file that nothing is written to, a log of transactions beside it that has not been folded in."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)


def is_unfinished(file: Path) -> bool:
    """Tell whether a crash has left beside a file what belongs into it."""
    return any(file.with_name(f"{file.name}-{kind}").exists() for kind in ("wal", "journal"))


def _untouched(file: Path) -> sqlite3.Connection:
    """Open a file that no other process of this service has open, so that nothing changes but by recovery.

    Without a log beside it nothing needs to be made beside it either. A journal is that of a transaction
    which a crash has ended, and is rolled back first.
    """
    if file.with_name(f"{file.name}-journal").exists():
        return sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)
    if file.with_name(f"{file.name}-wal").exists():
        return read_only(file)
    return sqlite3.connect(f"{file.resolve().as_uri()}?immutable=1", uri=True, isolation_level=None)


def damages(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with pages, trees and indexes, a line each, no more than a few."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({MOST_DAMAGES})").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:  # the rest tells which kind of damage
            raise
        return [str(error)]
    lines = [line for (text,) in rows for line in str(text).splitlines() if not line.startswith("*** ")]
    return [] if lines == ["ok"] else lines[:MOST_DAMAGES]


def ensure_whole(file: Path) -> None:
    """See that a file that is there can be served, without touching it.

    Every page is read, and every row looked up in its indexes: 0.25 s for 100,000 trials. ``quick_check``
    takes 0.04 s and leaves the indexes out, by which the service finds its rows.

    Raises:
        OpeningError: It is damaged.
    """
    if not file.exists() or file.stat().st_size == 0:
        ensure_new(file)
        return
    if file.is_file() and not is_unfinished(file):
        ensure_whole_pages(file)
    with opening.explained(file), closing(_untouched(file)) as connection:
        found = damages(connection)
    if found:
        raise OpeningError(f"{file} is damaged ({found[0]}); {RESTORE}")


def ensure_whole_pages(file: Path) -> None:
    """See that a file which nothing is left to be folded into does not end within a page.

    SQLite would fill it with zeros, and take one that is shorter than any page for a new one.

    Raises:
        OpeningError: It does.
    """
    with file.open("rb") as opened:
        header = opened.read(SMALLEST_PAGE)
    if len(header) < len(MAGIC) or (
        header.startswith(MAGIC)  # else it is no database, which SQLite says
        and (len(header) < SMALLEST_PAGE or file.stat().st_size % page_bytes(header))
    ):
        raise OpeningError(f"{file} is damaged (it ends within a page); {RESTORE}")


def page_bytes(header: bytes) -> int:
    """Return how long the pages are of a database with this header, the shortest where that is damaged."""
    stated = int.from_bytes(header[16:18], "big")
    return stated if stated >= SMALLEST_PAGE else 65536 if stated == 1 else SMALLEST_PAGE


def ensure_new(file: Path) -> None:
    """See that nothing is left of an earlier database where a file is missing or empty.

    Raises:
        OpeningError: There are transactions, which SQLite would delete.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size > 0:
        raise OpeningError(
            f"{file} is missing or empty, and {log} has transactions of the database that it was; put the "
            f"database back beside them, or move {log.name} away to begin a new one"
        )


def ensure_writable(connection: sa.Connection) -> None:
    """Begin to write, and write nothing.

    A transaction that would write begins in a read-only file as one that reads, and fails later.

    Raises:
        DBAPIError: It cannot be written.
    """
    connection.execute(sa.delete(schema.job).where(sa.false()))


def ensure_schema(connection: sa.Connection, file: Path) -> None:
    """See that a SQLite database at this release's revision, or a later one, has this release's tables.

    Raises:
        OpeningError: It has other ones.
    """
    missing = expected_signature() - signature_of(connection)
    if missing:
        what = " ".join(map(str, min(missing, key=repr)))
        raise OpeningError(f"{file} is damaged (its schema has no {what}); {RESTORE}")


def expected_signature() -> Signature:
    """Return the signature of a new database."""
    engine = sa.create_engine("sqlite+pysqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            revision.upgrade(connection)
            return signature_of(connection)
    finally:
        engine.dispose()


def signature_of(connection: sa.Connection) -> Signature:
    """Return all that a schema means: tables, columns with their types, foreign keys, indexes."""
    return {tuple(row) for query in _SIGNATURE for row in connection.exec_driver_sql(query)}
