"""Statements that load whole batches into core's records; each is one round trip, whatever the batch."""

import json
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.records import Arm, Job, Result, Trial
from core.sums import SUMMED, Double, Sums
from service.store import schema

R = TypeVar("R", bound=Struct)

_JOB_IDS: sa.BindParameter[list[str]] = sa.bindparam("job_ids", expanding=True)


def _columns(table: sa.Table, record: type[Struct]) -> list[sa.Column[object]]:
    return [table.c[name] for name in record.__struct_fields__]


def _rows(connection: Connection, statement: sa.Executable, parameters: dict[str, object]) -> Sequence[Any]:
    # All at once: iterating over the result would fetch the rows one by one.
    return connection.execute(statement, parameters).all()


def _records(record: type[R], rows: Sequence[Any]) -> list[R]:
    return [record(*row) for row in rows]


_jobs = sa.select(*_columns(schema.job, Job)).where(schema.job.c.job_id.in_(_JOB_IDS))

_last_numbers = sa.select(schema.deleted_job.c.job_id, schema.deleted_job.c.last_trial_number).where(
    schema.deleted_job.c.job_id.in_(_JOB_IDS)
)

_batch_sizes = (
    sa.select(schema.batch_size.c.job_id, schema.batch_size.c.batch_size)
    .where(schema.batch_size.c.job_id.in_(_JOB_IDS))
    .order_by(schema.batch_size.c.job_id, schema.batch_size.c.batch_size)
)

_arms = (
    sa.select(*_columns(schema.arm, Arm))
    .where(schema.arm.c.job_id.in_(_JOB_IDS))
    .order_by(schema.arm.c.job_id, schema.arm.c.batch_size)
)

# The text of the index's condition, so that SQLite sees that the index answers.
_explorations = (
    sa.select(*_columns(schema.trial, Trial))
    .where(
        schema.trial.c.job_id.in_(_JOB_IDS),
        sa.text("type = 'Exploration' AND status <> 'Failed'"),
    )
    .order_by(schema.trial.c.job_id, schema.trial.c.trial_number)
)

# Keys of two parts travel as one JSON text: SQLite scans the table for a row-value IN.
_keys = sa.func.json_each(sa.bindparam("keys", type_=sa.Text)).table_valued("key", "value", name="keys")


def _key(index: int) -> sa.Function[object]:
    return sa.func.json_extract(_keys.c.value, f"$[{index}]")


_trials = (
    sa.select(*_columns(schema.trial, Trial))
    .select_from(_keys)
    .join(
        schema.trial,
        sa.and_(schema.trial.c.job_id == _key(0), schema.trial.c.trial_number == _key(1)),
    )
)

# A key's rows are told by its place among the keys: shorter than its parts.
_measured = sa.select(_keys.c.key, schema.trial.c.trial_number, schema.trial.c.time, schema.trial.c.energy)
_all_results = (
    _measured.select_from(_keys)
    .join(
        schema.trial,
        sa.and_(
            schema.trial.c.job_id == _key(0),
            schema.trial.c.batch_size == _key(1),
            sa.text("status = 'Succeeded'"),
        ),
    )
    .order_by(schema.trial.c.trial_number)
)

_succeeded = (
    sa.select(*_columns(schema.trial, Trial))
    .where(schema.trial.c.job_id == sa.bindparam("job_id"), sa.text("status = 'Succeeded'"))
    .order_by(schema.trial.c.trial_number)
)

_newest = schema.trial.alias("newest")
_newest_results = (
    _measured.select_from(_keys)
    .join(
        schema.trial,
        sa.and_(
            schema.trial.c.job_id == _key(0),
            schema.trial.c.trial_number.in_(
                sa.select(_newest.c.trial_number)
                .where(
                    _newest.c.job_id == _key(0),
                    _newest.c.batch_size == _key(1),
                    sa.text("newest.status = 'Succeeded'"),
                )
                .order_by(_newest.c.trial_number.desc())
                .limit(sa.bindparam("window", type_=sa.Integer))
                .correlate(_keys)
            ),
        ),
    )
    .order_by(schema.trial.c.trial_number)
)

_sums = (
    sa.select(schema.arm_sums)
    .select_from(_keys)
    .join(
        schema.arm_sums,
        sa.and_(schema.arm_sums.c.job_id == _key(0), schema.arm_sums.c.batch_size == _key(1)),
    )
)


def jobs(connection: Connection, job_ids: Collection[str]) -> list[Job]:
    """Load the jobs of these ids that exist."""
    return _records(Job, _rows(connection, _jobs, {"job_ids": list(job_ids)}))


def last_numbers(connection: Connection, job_ids: Collection[str]) -> dict[str, int]:
    """Load the highest trial numbers of deleted jobs, by job id."""
    rows = _rows(connection, _last_numbers, {"job_ids": list(job_ids)})
    return dict(rows)


def trials(connection: Connection, keys: Collection[tuple[str, int]]) -> list[Trial]:
    """Load the trials of these job ids and trial numbers that exist."""
    return _records(Trial, _rows(connection, _trials, {"keys": json.dumps(list(keys))}))


def succeeded(connection: Connection, job_id: str) -> list[Trial]:
    """Load all Succeeded trials of a job, ascending by trial number; not for the hot path."""
    return _records(Trial, _rows(connection, _succeeded, {"job_id": job_id}))


def batch_sizes(connection: Connection, job_ids: Collection[str]) -> dict[str, list[int]]:
    """Load the batch sizes of jobs, ascending."""
    found: dict[str, list[int]] = {job_id: [] for job_id in job_ids}
    for job_id, size in _rows(connection, _batch_sizes, {"job_ids": list(job_ids)}):
        found[job_id].append(size)
    return found


def arms(connection: Connection, job_ids: Collection[str]) -> dict[str, dict[int, Arm]]:
    """Load the arms of jobs by batch size, ascending."""
    found: dict[str, dict[int, Arm]] = {job_id: {} for job_id in job_ids}
    for arm in _records(Arm, _rows(connection, _arms, {"job_ids": list(job_ids)})):
        found[arm.job_id][arm.batch_size] = arm
    return found


def explorations(connection: Connection, job_ids: Collection[str]) -> dict[str, dict[int, Trial]]:
    """Load the explorations of jobs that have not failed by trial number, ascending."""
    found: dict[str, dict[int, Trial]] = {job_id: {} for job_id in job_ids}
    for trial in _records(Trial, _rows(connection, _explorations, {"job_ids": list(job_ids)})):
        found[trial.job_id][trial.trial_number] = trial
    return found


def results(
    connection: Connection, keys: Collection[tuple[str, int]], window: int
) -> dict[tuple[str, int], list[Result]]:
    """Load the newest ``window`` results (0: all) of each job id and batch size, the oldest first."""
    parameters: dict[str, object] = {"keys": json.dumps(list(keys))}
    statement = _all_results
    if window:
        statement, parameters["window"] = _newest_results, window
    found: list[list[Result]] = [[] for _ in keys]
    for place, number, time, energy in _rows(connection, statement, parameters):
        found[place].append(Result(number, time, energy))
    return dict(zip(keys, found, strict=True))


def sums(connection: Connection, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], Sums | None]:
    """Load running sums by job id and batch size, None where there are none."""
    found: dict[tuple[str, int], Sums | None] = dict.fromkeys(keys)
    for job_id, size, number, *parts in _rows(connection, _sums, {"keys": json.dumps(list(keys))}):
        doubles = dict(zip(SUMMED, map(Double, parts[::2], parts[1::2]), strict=True))
        found[job_id, size] = Sums(job_id=job_id, batch_size=size, num_results=number, **doubles)
    return found
