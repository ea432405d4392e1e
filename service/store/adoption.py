"""Bringing a database to this release: upgrading our own, adopting the reference's."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from core.kept import Kept
from core.mending import Mended, mend
from core.terms import POSITIVE, unfit
from service.errors import OpeningError
from service.store import inspection, locking, opening, reading, revision, schema, tallies, writing
from service.store.backup import back_up_beside
from service.store.lock import LockFile
from service.store.postgres import run_once
from service.store.revision import State
from service.store.sqlite import existing_file_of, writing_engine

T = TypeVar("T")

ROWS_A_WRITE = 10_000
MOST_NAMED = 5
"""Values out of range that a sentence names."""


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
        rows = connection.execute(sa.select(trial).order_by(trial.c.job_id, trial.c.trial_number)).fetchall()
    except (ValueError, TypeError) as error:
        raise OpeningError(
            f'a timestamp in table "Trial" is not a local time ({error}); correct it there and try again'
        ) from error
    converted = [
        {
            "of_job": row.job_id,
            "of_number": row.trial_number,
            "started": _utc(row, "start_timestamp", zone),
            "ended": _utc(row, "end_timestamp", zone),
        }
        for row in rows
    ]
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
            mended = _mended(connection, job_id)
        except (msgspec.DecodeError, sa.exc.DBAPIError, ValueError, TypeError, LookupError) as error:
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise OpeningError(
                f"job {job_id!r} cannot be read ({reason}); correct it there and try again"
            ) from error
        writing.update_jobs(connection, [mended.job])
        writing.update_trials(connection, mended.trials)
        writing.update_arms(connection, mended.arms)
        mended_trials += len(mended.trials)
    return mended_trials


def _mended(connection: Connection, job_id: str) -> Mended:
    """Load a job and mend it.

    Raises:
        OpeningError: Something is out of range.
    """
    wrong = list(islice(_unfit(inspection.load(connection, job_id)), MOST_NAMED))
    if wrong:
        raise OpeningError(f"of job {job_id!r}, {'; '.join(wrong)}: correct it there and try again")
    (job,) = reading.jobs(connection, [job_id])
    arms = reading.arms(connection, [job_id])[job_id]
    return mend(job, reading.succeeded(connection, job_id), arms, secrets.randbits(128))


def _unfit(kept: Kept) -> Iterator[str]:
    """Go through what is out of range in a job, in words."""
    yield from unfit(kept.job, kept.batch_sizes)
    for number in (trial.trial_number for trial in kept.trials):
        if not POSITIVE.holds(number):
            yield f"a trial_number is {number}, and may be {POSITIVE}"
    for size in sorted(
        {trial.batch_size for trial in kept.trials}.union(kept.arms).difference(kept.batch_sizes)
    ):
        yield f"the batch size of a trial or an arm is {size}, and may be one of the job's"


def _utc(row: sa.Row[Any], name: str, zone: tzinfo | None) -> datetime | None:
    local: datetime | None = getattr(row, name)
    try:
        return None if local is None else local.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise OpeningError(
            f"of job {row.job_id!r}, {name} of trial {row.trial_number} is {local}, which is not a local "
            "time; correct it there and try again"
        ) from error
