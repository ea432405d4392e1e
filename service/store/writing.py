"""Statements that write whole batches, each kind of change in one executemany."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from core.history import History
from core.rationale import Rationale
from core.records import Arm, Job, Trial
from core.sums import SUMMED, Sums
from service.store import schema
from service.store.answer import Answer

JOB_PROGRESS = (
    "stage",
    "min_cost",
    "min_cost_batch_size",
    "mab_random_generator_state",
    "last_trial_number",
    "failures",
    "next_expiry",
    "longest_gap",
    "reset_number",
    "knowledge",
    "num_drifts",
    "num_converged",
    "num_unconverged",
    "num_failed",
    "spent_time",
    "spent_energy",
    "num_default",
    "default_time",
    "default_energy",
    "last_activity",
)
JOB_TERMS = ("eta_knob", "beta_knob", "window_size", "max_epochs", "registered", "is_paused")
"""What of a job may be changed from outside."""
TRIAL_PROGRESS = (
    "type",
    "status",
    "end_timestamp",
    "time",
    "energy",
    "converged",
    "lease_expires",
    "last_report",
    "has_heartbeat",
    "failure_reason",
    "is_late",
    "energy_source",
    "epochs",
    "drifted_from",
    "curve",
)
ARM_POSTERIOR = ("param_mean", "param_precision", "reward_precision", "num_observations")

JOB_KEY = ("job_id",)
TRIAL_KEY = ("job_id", "trial_number")
ARM_KEY = ("job_id", "batch_size")

Write = sa.Insert | sa.Update | sa.Delete


class NewTrial(Struct, frozen=True):
    """A trial that is dispatched, and why it has its batch size, as JSON."""

    trial: Trial
    rationale: str | None = None

    @classmethod
    def of(cls, trial: Trial, rationale: Rationale) -> Self:
        """Return a new trial with its reasons."""
        return cls(trial, msgspec.json.encode(rationale).decode())


class Kept(Struct, frozen=True):
    """The results that are kept beside an arm: none any more where there is no history."""

    job_id: str
    batch_size: int
    history: History | None
    is_new: bool

    @property
    def results(self) -> bytes:
        """The history as it is stored."""
        return b"" if self.history is None else self.history.astype("<f8").tobytes()


def _update(table: sa.Table, keys: Iterable[str], values: Iterable[str]) -> sa.Update:
    # A bound name may not be a column's own name in an UPDATE.
    return (
        sa.update(table)
        .where(*(table.c[key] == sa.bindparam(f"of_{key}") for key in keys))
        .values({value: sa.bindparam(f"new_{value}") for value in values})
    )


def _delete(table: sa.Table) -> sa.Delete:
    return sa.delete(table).where(*(table.c[key] == sa.bindparam(f"of_{key}") for key in ARM_KEY))


_insert_jobs = sa.insert(schema.job)
_insert_batch_sizes = sa.insert(schema.batch_size)
_insert_trials = sa.insert(schema.trial)
_insert_arms = sa.insert(schema.arm)
_insert_last_numbers = sa.insert(schema.deleted_job)
_update_jobs = _update(schema.job, JOB_KEY, JOB_PROGRESS)
_update_terms = _update(schema.job, JOB_KEY, JOB_TERMS)
_update_trials = _update(schema.trial, TRIAL_KEY, TRIAL_PROGRESS)
_update_arms = _update(schema.arm, ARM_KEY, ARM_POSTERIOR)
_insert_sums = sa.insert(schema.arm_sums)
_delete_arms_alone = _delete(schema.arm)
_delete_sums = _delete(schema.arm_sums)
_insert_histories = sa.insert(schema.arm_history)
_update_histories = _update(schema.arm_history, ARM_KEY, ("results",))
_delete_histories = _delete(schema.arm_history)
_insert_answers = sa.insert(schema.answer)
_delete_answers = sa.delete(schema.answer).where(schema.answer.c.key == sa.bindparam("of_key"))
_old_keys = (
    sa.select(schema.answer.c.key)
    .distinct()
    .where(schema.answer.c.created_timestamp <= sa.bindparam("before"))
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_delete_old_answers = sa.delete(schema.answer).where(schema.answer.c.key.in_(_old_keys))


def _deletes(*tables: sa.Table) -> list[sa.Delete]:
    return [sa.delete(table).where(table.c.job_id == sa.bindparam("of_job")) for table in tables]


# Children first, so that nothing depends on the database enforcing foreign keys.
_delete_results = _deletes(schema.arm_sums, schema.arm_history)
_delete_arms = [*_delete_results, *_deletes(schema.arm)]
_delete_jobs = [
    *_deletes(schema.deleted_job),
    *_delete_arms,
    *_deletes(schema.trial, schema.batch_size, schema.job),
]

# Where the records of a statement do not keep a column's value under the column's name.
_PATHS: Mapping[Write, Mapping[str, str]] = {
    _insert_trials: {name: f"trial.{name}" for name in Trial.__struct_fields__},
    _insert_sums: {f"{name}_{part}": f"{name}.{part}" for name in SUMMED for part in ("high", "low")},
}


def _run(connection: Connection, statement: Write, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _write(connection: Connection, statement: Write, records: Collection[Struct]) -> None:
    """Execute a statement for each record, whose members are its parameters."""
    if records:
        text, row_of = _compiled(statement, connection.dialect)
        connection.exec_driver_sql(text, [row_of(record) for record in records])


@cache
def _compiled(statement: Write, dialect: Dialect) -> tuple[str, Callable[[Struct], Sequence[Any]]]:
    """Return a statement's text, and what makes its parameters of a record.

    SQLAlchemy would go through the parameters of every row by name, at four times the cost.
    """
    compiled = statement.compile(dialect=dialect)
    names = compiled.positiontup or ()
    members = (name.removeprefix("of_").removeprefix("new_") for name in names)
    paths = _PATHS.get(statement, {})
    values_of = attrgetter(*(paths.get(member, member) for member in members))
    processors = [
        (place, processor)
        for place, name in enumerate(names)
        if (processor := compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]

    def row_of(record: Struct) -> Sequence[Any]:
        row = list(values_of(record))
        for place, processor in processors:
            row[place] = processor(row[place])
        return tuple(row)

    return str(compiled), row_of if processors else values_of


def delete_jobs(connection: Connection, last_numbers: Mapping[str, int]) -> None:
    """Delete jobs and all that belongs to them, save the highest trial number of each."""
    for statement in _delete_jobs:
        _run(connection, statement, [{"of_job": job_id} for job_id in last_numbers])
    _run(
        connection,
        _insert_last_numbers,
        [{"job_id": job_id, "last_trial_number": number} for job_id, number in last_numbers.items()],
    )


def forget_arms(connection: Connection, job_ids: Collection[str]) -> None:
    """Delete the arms of jobs, with what is kept beside them."""
    for statement in _delete_arms:
        _run(connection, statement, [{"of_job": job_id} for job_id in job_ids])


def forget_results(connection: Connection, job_ids: Collection[str]) -> None:
    """Delete what is kept of the results beside the arms of jobs."""
    for statement in _delete_results:
        _run(connection, statement, [{"of_job": job_id} for job_id in job_ids])


def keep_answers(connection: Connection, answers: Collection[Answer], expired: Collection[str]) -> None:
    """Write the first answers to calls, once those that had expired under ``expired`` keys are gone."""
    _run(connection, _delete_answers, [{"of_key": key} for key in expired])
    _write(connection, _insert_answers, answers)


def delete_answers(connection: Connection, before: datetime, limit: int) -> None:
    """Delete answers that were first given before a time (UTC): those to so many calls at most."""
    connection.execute(_delete_old_answers, {"before": before, "limit": limit})


def insert_jobs(connection: Connection, jobs: Collection[tuple[Job, Iterable[int]]]) -> None:
    """Insert jobs with their batch sizes."""
    _write(connection, _insert_jobs, [job for job, _ in jobs])
    _run(
        connection,
        _insert_batch_sizes,
        [{"job_id": job.job_id, "batch_size": size} for job, sizes in jobs for size in sizes],
    )


def update_jobs(connection: Connection, jobs: Collection[Job]) -> None:
    """Write what trials have made of jobs."""
    _write(connection, _update_jobs, jobs)


def update_terms(connection: Connection, jobs: Collection[Job]) -> None:
    """Write what was changed of jobs from outside."""
    _write(connection, _update_terms, jobs)


def insert_trials(connection: Connection, trials: Collection[NewTrial]) -> None:
    """Insert trials."""
    _write(connection, _insert_trials, trials)


def update_trials(connection: Connection, trials: Collection[Trial]) -> None:
    """Write how trials stand."""
    _write(connection, _update_trials, trials)


def insert_arms(connection: Connection, arms: Collection[Arm]) -> None:
    """Insert arms."""
    _write(connection, _insert_arms, arms)


def update_arms(connection: Connection, arms: Collection[Arm]) -> None:
    """Write arms' new posteriors."""
    _write(connection, _update_arms, arms)


def replace_arms(connection: Connection, arms: Collection[Arm]) -> None:
    """Write arms in place of those of their batch sizes, where there were any."""
    _write(connection, _delete_arms_alone, arms)
    _write(connection, _insert_arms, arms)


def replace_sums(connection: Connection, sums: Collection[Sums]) -> None:
    """Write arms' running sums in place of those they had."""
    _write(connection, _delete_sums, sums)
    _write(connection, _insert_sums, sums)


def keep_histories(connection: Connection, kept: Collection[Kept]) -> None:
    """Write the results that are kept beside arms, or let them go."""
    _write(connection, _delete_histories, [one for one in kept if one.history is None])
    _write(connection, _insert_histories, [one for one in kept if one.history is not None and one.is_new])
    _write(connection, _update_histories, [one for one in kept if one.history is not None and not one.is_new])
