"""Holding everything that a database keeps against the invariants of the domain, beside whoever serves it."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
import numpy as np
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from core.finding import RESTORE, Finding
from core.history import History
from core.invariants import audit
from core.kept import Kept
from core.rationale import Rationale
from core.records import Arm, Job, Trial
from core.sums import SUMMED, Sums
from service.store import event_rows, schema
from service.store.queries import columns

R = TypeVar("R", bound=Struct)

Row = dict[str, Any]


class Inspected(Struct):
    """How much has been looked at."""

    jobs: int = 0
    trials: int = 0
    arms: int = 0


def inspect(connection: Connection, inspected: Inspected) -> Iterator[Finding]:
    """Go through all that is wrong in one snapshot, a job in memory at a time; count what is looked at.

    Args:
        connection: In a transaction that sees one snapshot throughout.
        inspected: Where the counts go.
    """
    job_ids = connection.scalars(sa.select(schema.job.c.job_id).order_by(schema.job.c.job_id)).all()
    for job_id in job_ids:
        try:
            kept = load(connection, job_id)
        except (msgspec.DecodeError, sa.exc.DBAPIError, ValueError, TypeError) as error:
            origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            yield Finding(job_id, None, f"it cannot be read: {origin}", RESTORE)
            continue
        inspected.jobs += 1
        inspected.trials += len(kept.trials)
        inspected.arms += len(kept.arms)
        yield from audit(kept)
    yield from _of_deleted_jobs(connection)
    yield from event_rows.damages(connection)


def load(connection: Connection, job_id: str) -> Kept:
    """Load all that is kept of a job.

    Raises:
        DecodeError: A value is not of its kind, or the reasons of a trial are none.
        DBAPIError: A text is not one.
        ValueError: A history is not one.
    """
    (row,) = _rows(connection, job_id, schema.job, columns(schema.job, Job))
    mappings = {name: msgspec.json.decode(row[name]) for name in ("failures", "registered")}
    # The stream is left to those who read it: whatever it is instead of one can be mended.
    stream = {"mab_random_generator_state": row["mab_random_generator_state"]}
    job = replace(
        msgspec.convert({**row, **mappings, **dict.fromkeys(stream, "")}, Job, strict=False), **stream
    )
    trials = _records(connection, job_id, schema.trial, Trial)
    for row in _rows(connection, job_id, schema.trial, [schema.trial.c.rationale]):
        if row["rationale"] is not None:
            _rationale(row["rationale"])
    arms = _records(connection, job_id, schema.arm, Arm)
    sizes = _rows(connection, job_id, schema.batch_size)
    histories = _rows(connection, job_id, schema.arm_history)
    sums = _rows(connection, job_id, schema.arm_sums)
    return Kept(
        job=job,
        batch_sizes=[row["batch_size"] for row in sizes],
        trials=sorted(trials, key=lambda trial: trial.trial_number),
        arms={arm.batch_size: arm for arm in sorted(arms, key=lambda arm: arm.batch_size)},
        histories={row["batch_size"]: _history(row) for row in histories},
        sums={row["batch_size"]: _sums(row) for row in sums},
    )


def _rows(
    connection: Connection, job_id: str, table: sa.Table, selected: Iterable[sa.Column[Any]] | None = None
) -> list[Row]:
    # As the driver gives them: the types of the columns would fail at the first value that is not of theirs.
    raw = {
        str(column.name): sa.type_coerce(column, sa.types.NULLTYPE) for column in selected or table.columns
    }
    found = connection.execute(sa.select(*raw.values()).where(table.c.job_id == job_id))
    return [dict(zip(raw, row, strict=True)) for row in found.all()]


def _records(connection: Connection, job_id: str, table: sa.Table, record: type[R]) -> list[R]:
    rows = _rows(connection, job_id, table, columns(table, record))
    # Not strict, since SQLite keeps booleans as numbers and times as text.
    return [msgspec.convert(row, record, strict=False) for row in rows]


_rationale = msgspec.json.Decoder(Rationale).decode


def _history(row: Row) -> History:
    return np.frombuffer(row["results"], dtype="<f8").reshape(-1, 3)


def _sums(row: Row) -> Sums:
    doubles = {name: {"high": row[f"{name}_high"], "low": row[f"{name}_low"]} for name in SUMMED}
    return msgspec.convert({**row, **doubles}, Sums)


def _of_deleted_jobs(connection: Connection) -> Iterator[Finding]:
    deleted = schema.deleted_job.c
    lower = sa.select(schema.job.c.job_id, schema.job.c.last_trial_number, deleted.last_trial_number).where(
        schema.job.c.job_id == deleted.job_id, schema.job.c.last_trial_number < deleted.last_trial_number
    )
    for job_id, number, before in connection.execute(lower):
        what = f"the counter is {number}, and trials up to {before} were given under its name before"
        yield Finding(job_id, None, what, RESTORE)
