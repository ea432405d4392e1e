"""Copying the jobs of a database of the reference server into one of this service, beside the jobs there.

The source is copied as it is into a temporary SQLite file, which is adopted like any database of the
reference; what came of that goes to the target in one transaction. So the source is only read, and the target
has all jobs or none.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from service.clock import utc_now
from service.errors import OpeningError
from service.store import adoption, audit, feed, integrity, locking, opening, revision, schema
from service.store.audit import COMMAND_LINE, Action, Event
from service.store.databases import run_beside
from service.store.happening import Happening, Kind
from service.store.postgres import read_snapshot, run_once
from service.store.revision import State
from service.store.sqlite import file_of, url_of, writing_engine

T = TypeVar("T")

ROWS_AT_A_TIME = 5_000
IDS_AT_A_TIME = 500
MOST_NAMED = 5
"""Jobs that a sentence names."""

Advance = Callable[[int], None]


class Imported(Struct, frozen=True):
    """What came: the jobs, those left out since their names are taken, how many trials cannot be costed."""

    jobs: list[str]
    skipped: list[str]
    num_trials: int
    failed_trials: int


def import_reference(
    source: str, database_url: str, zone: tzinfo | None, advance: Advance, *, skip_existing: bool
) -> Imported:
    """Copy the jobs of a reference database into a database that may be served meanwhile, all or nothing.

    Args:
        source: A SQLite file, or the URL of one or of a Postgres database; it is not changed.
        database_url: Where the jobs go.
        zone: The time zone that the reference ran in, None: this machine's.
        advance: Told how many rows have been copied, each of which is copied twice.
        skip_existing: Whether jobs whose names are taken are left out.

    Raises:
        OpeningError: A database cannot be used, or a name is taken.
    """
    with TemporaryDirectory(prefix="batchbandit-import-") as folder:
        engine = writing_engine(Path(folder) / "adopted.db")
        try:
            with engine.begin() as connection:
                revision.upgrade(connection, revision.REFERENCE_REVISION)
                _read(source, lambda found: _copy_reference(found, connection, advance))
                failed_trials = adoption.convert(connection, zone)
            with engine.connect() as adopted:
                return run_beside(
                    database_url,
                    lambda target: _insert(
                        adopted, target, failed_trials, advance, skip_existing=skip_existing
                    ),
                    must_exist=True,
                )
        finally:
            engine.dispose()


def size_of(source: str) -> int:
    """Return how many rows a reference database has.

    Raises:
        OpeningError: It cannot be read, or the reference did not write it.
    """

    def count(connection: Connection) -> int:
        tables = [schema.metadata.tables[name] for name in revision.REFERENCE_COLUMNS]
        return sum(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables)

    return _read(source, count)


def _read(source: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` on one snapshot of a reference database."""
    url = opening.parsed(source) if "://" in source else url_of(Path(source))

    def look(connection: Connection) -> T:
        state = revision.state_of(connection)
        if state is not State.REFERENCE:
            raise OpeningError(
                f"{opening.name_of(url)} {state.value}; "
                "only a database of the reference server can be imported"
            )
        return work(connection)

    if url.get_backend_name() == "sqlite":
        with _reading(url) as connection:
            return look(connection)

    def look_at_snapshot(connection: Connection) -> T:
        read_snapshot(connection)
        return look(connection)

    return run_once(url, look_at_snapshot)


@contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    """Read a SQLite file in one transaction."""
    file = file_of(url)
    if not file.exists():
        raise OpeningError(f"{file} does not exist; name the file of the reference server, or a URL")
    with opening.explained(file), closing(integrity.read_only(file)) as driver:
        engine = sa.create_engine("sqlite+pysqlite://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as connection:
            driver.execute("BEGIN")
            yield connection


def _copy_reference(source: Connection, target: Connection, advance: Advance) -> None:
    """Copy the reference's tables as they are."""
    for table in schema.metadata.sorted_tables:
        names = revision.REFERENCE_COLUMNS.get(table.name)
        if names is None:
            continue
        columns = [column for column in table.columns if column.name in names]
        kinds = {column.name: column.type for column in columns}
        if source.dialect.name == "sqlite":  # which may keep anything in any column: adoption says where
            kinds = dict.fromkeys(kinds, sa.types.NULLTYPE)
        # Of these columns alone: the others are there from a later revision on.
        narrow = sa.table(table.name, *(sa.column(name, kind) for name, kind in kinds.items()))
        try:
            for rows in source.execute(sa.select(narrow)).mappings().partitions(ROWS_AT_A_TIME):
                target.execute(sa.insert(narrow), [dict(row) for row in rows])
                advance(len(rows))
        except (ValueError, TypeError, LookupError, sa.exc.StatementError) as error:
            reason = error.orig if isinstance(error, sa.exc.StatementError) else error  # without the rows
            raise OpeningError(f'table "{table.name}" cannot be read ({reason}); correct it') from error


def _insert(
    adopted: Connection, target: Connection, failed_trials: int, advance: Advance, *, skip_existing: bool
) -> Imported:
    """Copy adopted jobs beside those of the target, unless their names are taken."""
    job_ids = adopted.scalars(sa.select(schema.job.c.job_id).order_by(schema.job.c.job_id)).all()
    locking.claim_names(target, job_ids)
    taken = set(_taken(target, job_ids))
    if taken and not skip_existing:
        raise OpeningError(
            f"there are, or were, jobs of these names already: {_named(sorted(taken))}; leave them out with "
            "--skip-existing, or rename them in a copy of the source"
        )
    wanted = [job_id for job_id in job_ids if job_id not in taken]
    num_trials = 0
    for table in schema.metadata.sorted_tables:
        if table is schema.job or table.foreign_key_constraints:
            copied = _copy(adopted, target, table, taken, advance)
            num_trials += copied if table is schema.trial else 0
    now = utc_now()
    audit.record(target, [Event(now, COMMAND_LINE, Action.IMPORT_JOB, job_id) for job_id in wanted])
    feed.record(target, [Happening(job_id, Kind.JOB_REGISTERED, now, {}) for job_id in wanted])
    return Imported(list(wanted), sorted(taken), num_trials, failed_trials)


def _taken(target: Connection, job_ids: Sequence[str]) -> Iterator[str]:
    """Go through the names that jobs have, or had before they were deleted: numbers would come again."""
    for table in (schema.job, schema.deleted_job):
        for start in range(0, len(job_ids), IDS_AT_A_TIME):
            some = job_ids[start : start + IDS_AT_A_TIME]
            yield from target.scalars(sa.select(table.c.job_id).where(table.c.job_id.in_(some)))


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _copy(
    adopted: Connection, target: Connection, table: sa.Table, without: Collection[str], advance: Advance
) -> int:
    """Copy the rows of a table save those of some jobs; return how many."""
    copied = 0
    for rows in adopted.execute(sa.select(table)).mappings().partitions(ROWS_AT_A_TIME):
        kept = [dict(row) for row in rows if row["job_id"] not in without]
        if kept:
            target.execute(sa.insert(table), kept)
        copied += len(kept)
        advance(len(rows))
    return copied
