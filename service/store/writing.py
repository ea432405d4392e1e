"""Statements that write whole batches, each kind of change in one executemany."""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection

from core.records import Arm, Job, Trial
from core.sums import SUMMED, Double, Sums
from service.store import schema

JOB_PROGRESS = ("stage", "min_cost", "min_cost_batch_size", "mab_random_generator_state", "last_trial_number")
TRIAL_RESULT = ("status", "end_timestamp", "time", "energy", "converged")
ARM_POSTERIOR = ("param_mean", "param_precision", "reward_precision", "num_observations")


def _update(table: sa.Table, keys: Iterable[str], values: Iterable[str]) -> sa.Update:
    # A bound name may not be a column's own name in an UPDATE.
    return (
        sa.update(table)
        .where(*(table.c[key] == sa.bindparam(f"of_{key}") for key in keys))
        .values({value: sa.bindparam(f"new_{value}") for value in values})
    )


def _update_row(record: Struct, keys: Iterable[str], values: Iterable[str]) -> dict[str, object]:
    row = {f"of_{key}": getattr(record, key) for key in keys}
    row.update((f"new_{value}", getattr(record, value)) for value in values)
    return row


JOB_KEY = ("job_id",)
TRIAL_KEY = ("job_id", "trial_number")
ARM_KEY = ("job_id", "batch_size")

_insert_jobs = sa.insert(schema.job)
_insert_batch_sizes = sa.insert(schema.batch_size)
_insert_trials = sa.insert(schema.trial)
_insert_arms = sa.insert(schema.arm)
_insert_last_numbers = sa.insert(schema.deleted_job)
_update_jobs = _update(schema.job, JOB_KEY, JOB_PROGRESS)
_update_trials = _update(schema.trial, TRIAL_KEY, TRIAL_RESULT)
_update_arms = _update(schema.arm, ARM_KEY, ARM_POSTERIOR)
_insert_sums = sa.insert(schema.arm_sums)
_delete_sums = sa.delete(schema.arm_sums).where(
    *(schema.arm_sums.c[key] == sa.bindparam(f"of_{key}") for key in ARM_KEY)
)
# Children first, so that nothing depends on the database enforcing foreign keys.
_deletes = [
    sa.delete(table).where(table.c.job_id == sa.bindparam("of_job"))
    for table in (
        schema.deleted_job,
        schema.arm_sums,
        schema.trial,
        schema.arm,
        schema.batch_size,
        schema.job,
    )
]


def _run(
    connection: Connection, statement: sa.Insert | sa.Update | sa.Delete, rows: list[dict[str, object]]
) -> None:
    if rows:
        connection.execute(statement, rows)


def delete_jobs(connection: Connection, last_numbers: Mapping[str, int]) -> None:
    """Delete jobs and all that belongs to them, save the highest trial number of each."""
    for statement in _deletes:
        _run(connection, statement, [{"of_job": job_id} for job_id in last_numbers])
    _run(
        connection,
        _insert_last_numbers,
        [{"job_id": job_id, "last_trial_number": number} for job_id, number in last_numbers.items()],
    )


def insert_jobs(connection: Connection, jobs: Collection[tuple[Job, Iterable[int]]]) -> None:
    """Insert jobs with their batch sizes."""
    _run(connection, _insert_jobs, [asdict(job) for job, _ in jobs])
    _run(
        connection,
        _insert_batch_sizes,
        [{"job_id": job.job_id, "batch_size": size} for job, sizes in jobs for size in sizes],
    )


def update_jobs(connection: Connection, jobs: Iterable[Job]) -> None:
    """Write what trials have made of jobs."""
    _run(connection, _update_jobs, [_update_row(job, JOB_KEY, JOB_PROGRESS) for job in jobs])


def insert_trials(connection: Connection, trials: Iterable[Trial]) -> None:
    """Insert trials."""
    _run(connection, _insert_trials, [asdict(trial) for trial in trials])


def update_trials(connection: Connection, trials: Iterable[Trial]) -> None:
    """Write how trials have ended."""
    _run(connection, _update_trials, [_update_row(trial, TRIAL_KEY, TRIAL_RESULT) for trial in trials])


def insert_arms(connection: Connection, arms: Iterable[Arm]) -> None:
    """Insert arms."""
    _run(connection, _insert_arms, [asdict(arm) for arm in arms])


def update_arms(connection: Connection, arms: Iterable[Arm]) -> None:
    """Write arms' new posteriors."""
    _run(connection, _update_arms, [_update_row(arm, ARM_KEY, ARM_POSTERIOR) for arm in arms])


def replace_sums(connection: Connection, sums: Collection[Sums]) -> None:
    """Write arms' running sums in place of those they had."""
    _run(connection, _delete_sums, [_update_row(one, ARM_KEY, ()) for one in sums])
    _run(connection, _insert_sums, [_sums_row(one) for one in sums])


def _sums_row(sums: Sums) -> dict[str, object]:
    row: dict[str, object] = {
        "job_id": sums.job_id,
        "batch_size": sums.batch_size,
        "num_results": sums.num_results,
    }
    for name in SUMMED:
        double: Double = getattr(sums, name)
        row[f"{name}_high"], row[f"{name}_low"] = double.high, double.low
    return row
