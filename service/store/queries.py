"""The statements that read, for each kind of database; each is one statement, whatever the batch.

SQLite and Postgres differ in how a whole batch of keys becomes one parameter, and in what their planners need
to see so that every key is looked up in an index.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from msgspec import Struct, json
from sqlalchemy.dialects.postgresql import ARRAY

from core.records import Arm, Job, Trial
from service.store import schema
from service.store.answer import Answer

# The texts of the indexes' conditions, so that the planners see that the indexes answer.
_IS_EXPLORATION = sa.text("type = 'Exploration' AND status <> 'Failed'")
_IS_EXPLORED = sa.text("\"Trial\".type = 'Exploration'")  # json_each has a column of that name too
_IS_RUNNING = sa.text("status = 'Dispatched'")
_IS_RESULT = sa.text("status = 'Succeeded'")

MEASURED = (schema.trial.c.trial_number, schema.trial.c.time, schema.trial.c.energy)
"""What is read of a result."""

Pairs = Collection[tuple[str, int]]
Columns = Sequence[sa.ColumnElement[Any]]
Condition = sa.ColumnElement[bool] | sa.TextClause


class Keys(Protocol):
    """How a batch of keys travels: job ids in ``:job_ids``, pairs of a job id and a number in a table."""

    place: sa.ColumnElement[int]
    job_id: sa.ColumnElement[str]
    number: sa.ColumnElement[int]
    reset_number: sa.ColumnElement[int]
    """Beyond which the trials of a pair's job count."""
    moment: sa.ColumnElement[datetime]
    """The time by the database's clock."""

    def named(self, column: sa.Column[Any], names: str = "job_ids") -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of the job ids, or other names."""

    def looked_up(
        self, table: sa.Table, number: str, selected: Columns, *conditions: Condition
    ) -> sa.Select[Any]:
        """Return what selects columns of a table's rows that have a pair's job id, and its number here."""

    def bound(self, pairs: Pairs) -> dict[str, object]:
        """Return the parameters that are the pairs; ``place`` counts them from 0."""

    def newest_results(self) -> sa.Select[Any]:
        """Return what selects the newest ``:window`` results of each pair."""


def _reset_number(job_id: sa.ColumnElement[str], pairs: sa.FromClause) -> sa.ColumnElement[int]:
    job = schema.job.alias("counting")
    return sa.select(job.c.reset_number).where(job.c.job_id == job_id).correlate(pairs).scalar_subquery()


class SQLiteKeys:
    """Pairs travel as one JSON text: SQLite scans the table for a row-value IN."""

    place: sa.ColumnElement[int]
    job_id: sa.ColumnElement[str]
    number: sa.ColumnElement[int]
    reset_number: sa.ColumnElement[int]
    moment: sa.ColumnElement[datetime] = sa.func.strftime(
        sa.literal_column("'%Y-%m-%d %H:%M:%f'"), sa.literal_column("'now'"), type_=schema.UtcDateTime
    )

    def __init__(self) -> None:
        pairs = sa.func.json_each(sa.bindparam("pairs", type_=sa.Text)).table_valued(
            "key", "value", name="keys"
        )
        self.source = pairs
        self.place = pairs.c.key
        self.job_id = sa.func.json_extract(pairs.c.value, "$[0]")
        self.number = sa.func.json_extract(pairs.c.value, "$[1]")
        self.reset_number = _reset_number(self.job_id, pairs)

    def named(self, column: sa.Column[Any], names: str = "job_ids") -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of the job ids, or other names."""
        return column.in_(sa.bindparam(names, expanding=True))

    def bound(self, pairs: Pairs) -> dict[str, object]:
        """Return the parameters that are the pairs; ``place`` counts them from 0."""
        return {"pairs": json.encode(list(pairs)).decode()}

    def looked_up(
        self, table: sa.Table, number: str, selected: Columns, *conditions: Condition
    ) -> sa.Select[Any]:
        """Return what selects columns of a table's rows that have a pair's job id, and its number here."""
        same = sa.and_(table.c.job_id == self.job_id, table.c[number] == self.number)
        return sa.select(*selected).select_from(self.source.join(table, same)).where(*conditions)

    def newest_results(self) -> sa.Select[Any]:
        """Return what selects the newest ``:window`` results of each pair."""
        newest = schema.trial.alias("newest")
        numbers = (
            sa.select(newest.c.trial_number)
            .where(
                newest.c.job_id == self.job_id,
                newest.c.batch_size == self.number,
                sa.text("newest.status = 'Succeeded'"),
                newest.c.trial_number > self.reset_number,
            )
            .order_by(newest.c.trial_number.desc())
            .limit(sa.bindparam("window", type_=sa.Integer))
            .correlate(self.source)
        )
        trial = schema.trial
        return sa.select(*MEASURED).select_from(
            self.source.join(trial, sa.and_(trial.c.job_id == self.job_id, trial.c.trial_number.in_(numbers)))
        )


class PostgresKeys:
    """Keys travel as arrays; what is limited a key is looked up beside it, laterally."""

    place: sa.ColumnElement[int]
    job_id: sa.ColumnElement[str]
    number: sa.ColumnElement[int]
    reset_number: sa.ColumnElement[int]
    moment: sa.ColumnElement[datetime] = sa.func.timezone(
        sa.literal_column("'UTC'"), sa.func.clock_timestamp(), type_=schema.UtcDateTime
    )

    def __init__(self) -> None:
        pairs = (
            sa.func.unnest(
                sa.bindparam("firsts", type_=ARRAY(sa.Text)), sa.bindparam("seconds", type_=ARRAY(sa.Integer))
            )
            .table_valued("first", "second", with_ordinality="place", name="keys")
            .render_derived()
        )
        self.source = pairs
        self.place = pairs.c.place - 1
        self.job_id = pairs.c.first
        self.number = pairs.c.second
        self.reset_number = _reset_number(self.job_id, pairs)

    def named(self, column: sa.Column[Any], names: str = "job_ids") -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of the job ids, or other names."""
        wanted: sa.BindParameter[Any] = sa.bindparam(names, type_=ARRAY(sa.Text))
        return column == sa.any_(wanted)

    def bound(self, pairs: Pairs) -> dict[str, object]:
        """Return the parameters that are the pairs; ``place`` counts them from 0."""
        return {"firsts": [first for first, _ in pairs], "seconds": [second for _, second in pairs]}

    def looked_up(
        self, table: sa.Table, number: str, selected: Columns, *conditions: Condition
    ) -> sa.Select[Any]:
        """Return what selects columns of a table's rows that have a pair's job id, and its number here."""
        same = sa.and_(table.c.job_id == self.job_id, table.c[number] == self.number)
        return self._beside(sa.select(*selected).where(same, *conditions))

    def _beside(self, looked_up: sa.Select[Any]) -> sa.Select[Any]:
        # The offset keeps the planner from joining, in which the table might come first: a plan made while
        # it was small, and kept with the prepared statement, would go through all of it when it has grown.
        found = looked_up.offset(sa.literal_column("0")).correlate(self.source).lateral("found")
        return sa.select(*found.c).select_from(self.source.join(found, sa.true()))

    def newest_results(self) -> sa.Select[Any]:
        """Return what selects the newest ``:window`` results of each pair."""
        trial = schema.trial
        return self._beside(
            sa.select(*MEASURED)
            .where(
                trial.c.job_id == self.job_id,
                trial.c.batch_size == self.number,
                trial.c.trial_number > self.reset_number,
                _IS_RESULT,
            )
            .order_by(trial.c.trial_number.desc())
            .limit(sa.bindparam("window", type_=sa.Integer))
        )


def columns(table: sa.Table, record: type[Struct]) -> list[sa.Column[Any]]:
    """Return a table's columns in the order of a record's members."""
    return [table.c[name] for name in record.__struct_fields__]


class Queries:
    """The statements for one kind of database."""

    def __init__(self, keys: Keys) -> None:
        job, trial, arm = schema.job, schema.trial, schema.arm
        self.bound = keys.bound
        # SQLite has no row locks and leaves the clause out: its transactions begin with the file's.
        self.jobs = (
            sa.select(*columns(job, Job), keys.moment)
            .where(keys.named(job.c.job_id))
            .order_by(job.c.job_id)
            .with_for_update()
        )
        self.any_job = sa.select(job.c.job_id).limit(1)
        self.moment = sa.select(keys.moment)
        self.due_jobs = (
            sa.select(job.c.job_id)
            # A value of its own: Postgres compares no index with what may change from row to row.
            .where(job.c.next_expiry <= sa.select(keys.moment).scalar_subquery())
            .order_by(job.c.next_expiry)
            .limit(sa.bindparam("limit", type_=sa.Integer))
        )
        self.oldest_answer = sa.select(keys.moment, sa.func.min(schema.answer.c.created_timestamp))
        self.answers = sa.select(*columns(schema.answer, Answer)).where(
            keys.named(schema.answer.c.key, "keys")
        )
        deleted = schema.deleted_job
        self.last_numbers = sa.select(deleted.c.job_id, deleted.c.last_trial_number).where(
            keys.named(deleted.c.job_id)
        )
        sizes = schema.batch_size
        self.batch_sizes = (
            sa.select(sizes.c.job_id, sizes.c.batch_size)
            .where(keys.named(sizes.c.job_id))
            .order_by(sizes.c.job_id, sizes.c.batch_size)
        )
        self.arms = (
            sa.select(*columns(arm, Arm))
            .where(keys.named(arm.c.job_id))
            .order_by(arm.c.job_id, arm.c.batch_size)
        )
        self.explorations = (
            sa.select(*columns(trial, Trial))
            .where(keys.named(trial.c.job_id), _IS_EXPLORATION)
            .order_by(trial.c.job_id, trial.c.trial_number)
        )
        self.exploration_numbers = keys.looked_up(
            trial, "batch_size", [trial.c.trial_number], _IS_EXPLORED
        ).add_columns(keys.place)
        self.leased = sa.select(*columns(trial, Trial)).where(
            keys.named(trial.c.job_id), trial.c.lease_expires.is_not(None), _IS_RUNNING
        )
        self.running = (
            sa.select(trial.c.job_id, sa.func.count())
            .where(keys.named(trial.c.job_id), _IS_RUNNING)
            .group_by(trial.c.job_id)
        )
        self.trials = keys.looked_up(trial, "trial_number", columns(trial, Trial))
        # A key's rows are told by its place among the keys: shorter than its parts.
        results = keys.looked_up(
            trial, "batch_size", MEASURED, trial.c.trial_number > keys.reset_number, _IS_RESULT
        )
        self.results, self.newest_results = (
            select.add_columns(keys.place).order_by(keys.place, select.selected_columns.trial_number)
            for select in (results, keys.newest_results())
        )
        self.histories = keys.looked_up(
            schema.arm_history, "batch_size", [schema.arm_history.c.results]
        ).add_columns(keys.place)
        self.sums = keys.looked_up(schema.arm_sums, "batch_size", tuple(schema.arm_sums.columns))
        # As ``core.cost`` reckons it, to the last bit.
        energy = sa.bindparam("eta", type_=sa.Float) * trial.c.energy
        cost = energy + sa.bindparam("watts", type_=sa.Float) * trial.c.time
        of_job = (
            trial.c.job_id == sa.bindparam("job_id"),
            trial.c.trial_number > sa.bindparam("reset_number"),
            _IS_RESULT,
        )
        self.cost_range = sa.select(sa.func.min(cost), sa.func.max(cost)).where(*of_job)
        self.cheapest = (
            sa.select(cost, trial.c.trial_number, trial.c.batch_size)
            .where(*of_job, trial.c.converged)
            .order_by(cost, trial.c.trial_number)
            .limit(1)
        )
        self.succeeded = (
            sa.select(*columns(trial, Trial))
            .where(trial.c.job_id == sa.bindparam("job_id"), _IS_RESULT)
            .order_by(trial.c.trial_number)
        )


_QUERIES = {"sqlite": Queries(SQLiteKeys()), "postgresql": Queries(PostgresKeys())}


def queries_for(connection: sa.Connection) -> Queries:
    """Return the statements for the database behind a connection."""
    return _QUERIES[connection.dialect.name]
