"""Bringing a database to this release: upgrading our own, adopting the reference's."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from core.mending import mend
from service.errors import OpeningError
from service.store import locking, opening, reading, revision, schema, tallies, writing
from service.store.backup import back_up_beside
from service.store.lock import LockFile
from service.store.postgres import run_once
from service.store.revision import State
from service.store.sqlite import existing_file_of, writing_engine

T = TypeVar("T")

ROWS_A_WRITE = 10_000


class Upgraded(NamedTuple):
    """An upgrade: the backup's file, None for Postgres, which has backups of its own."""

    backup: Path | None


def upgrade(database_url: str) -> Upgraded | None:
    """Bring a database of an older release to this one's revision, all or nothing; SQLite after a backup.

    Returns:
        None where the database was at this revision already, or at a later one that this release serves too.

    Raises:
        OpeningError: The database is in use, or not one of an older release.
    """
    url = opening.parsed(database_url)

    def run(connection: Connection) -> Upgraded | None:
        state = revision.state_of(connection)
        if state in revision.SERVED:
            return None
        if state is not State.BEHIND:
            raise OpeningError(f"{opening.name_of(url)} {state.value}; {opening.remedy(state, url)}")
        backup = back_up_beside(url)
        revision.upgrade(connection)
        return Upgraded(backup)

    return _run_exclusively(url, run)


class Adopted(NamedTuple):
    """An adoption: the backup's file, as of an upgrade, and how many results cannot be costed."""

    backup: Path | None
    failed_trials: int


def adopt(database_url: str, zone: tzinfo | None) -> Adopted:
    """Make a database of the reference server ours, all or nothing; SQLite after a backup copy.

    Its timestamps, naive local times of ``zone`` (None: this machine's), become UTC; its jobs are mended
    (``core.mending``); a table ``alembic_version`` is left alone.

    Raises:
        OpeningError: The database is in use, or not one that the reference wrote.
    """
    url = opening.parsed(database_url)

    def run(connection: Connection) -> Adopted:
        state = revision.state_of(connection)
        if state is State.CURRENT:
            raise OpeningError(f"{opening.name_of(url)} has been adopted already; run: batchbandit serve")
        if state is not State.REFERENCE:
            raise OpeningError(
                f"{opening.name_of(url)} {state.value}; "
                "only a database of the reference server can be adopted"
            )
        locking.claim_tables(connection, revision.REFERENCE_COLUMNS)
        backup = back_up_beside(url)
        return Adopted(backup, convert(connection, zone))

    return _run_exclusively(url, run)


def convert(connection: Connection, zone: tzinfo | None) -> int:
    """Make the tables of the reference ours, its times UTC; return how many results cannot be costed.

    Raises:
        OpeningError: Something in them cannot be read.
    """
    revision.stamp_reference(connection)
    to_utc(connection, zone)
    revision.upgrade(connection)
    failed_trials = mend_jobs(connection)
    tallies.recount(connection)  # the trials that failed had been counted among the results
    return failed_trials


def _run_exclusively(url: URL, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in one transaction on a database that nobody else changes; keep all or nothing."""
    if url.get_backend_name() == "sqlite":
        with _exclusively(existing_file_of(url)) as connection:
            return work(connection)

    def claim_and_work(connection: Connection) -> T:
        locking.claim_migration(connection)
        return work(connection)

    return run_once(url, claim_and_work)


@contextmanager
def _exclusively(file: Path) -> Iterator[Connection]:
    """Hold the lock file and one transaction on an existing SQLite database."""
    with LockFile(file):
        engine = writing_engine(file)
        try:
            with opening.explained(file), engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


def to_utc(connection: Connection, zone: tzinfo | None) -> None:
    """Convert the trials' naive local times to UTC; an hour that the clock showed twice is the first.

    Raises:
        OpeningError: A value is not a time.
    """
    trial = sa.table(
        "Trial",
        sa.column("job_id"),
        sa.column("trial_number"),
        sa.column("start_timestamp", sa.DateTime),
        sa.column("end_timestamp", sa.DateTime),
    )
    try:
        converted = [
            {
                "of_job": row.job_id,
                "of_number": row.trial_number,
                "started": _utc(row.start_timestamp, zone),
                "ended": _utc(row.end_timestamp, zone),
            }
            for row in connection.execute(sa.select(trial)).fetchall()
        ]
    except (ValueError, TypeError, OverflowError) as error:
        raise OpeningError(
            f'a timestamp in table "Trial" is not a local time ({error}); correct it and adopt again'
        ) from error
    statement = (
        sa.update(trial)
        .where(trial.c.job_id == sa.bindparam("of_job"), trial.c.trial_number == sa.bindparam("of_number"))
        .values(start_timestamp=sa.bindparam("started"), end_timestamp=sa.bindparam("ended"))
    )
    for start in range(0, len(converted), ROWS_A_WRITE):
        connection.execute(statement, converted[start : start + ROWS_A_WRITE])


def mend_jobs(connection: Connection) -> int:
    """Make every job sound that the reference left otherwise; return how many trials had to become Failed."""
    mended_trials = 0
    for job_id in connection.scalars(sa.select(schema.job.c.job_id)).all():
        try:
            (job,) = reading.jobs(connection, [job_id])
            arms = reading.arms(connection, [job_id])[job_id]
            mended = mend(job, reading.succeeded(connection, job_id), arms, secrets.randbits(128))
        except (ValueError, TypeError, LookupError) as error:
            raise OpeningError(
                f"job {job_id} cannot be read ({error}); correct it and adopt again"
            ) from error
        writing.update_jobs(connection, [mended.job])
        writing.update_trials(connection, mended.trials)
        writing.update_arms(connection, mended.arms)
        mended_trials += len(mended.trials)
    return mended_trials


def _utc(local: datetime | None, zone: tzinfo | None) -> datetime | None:
    return None if local is None else local.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
