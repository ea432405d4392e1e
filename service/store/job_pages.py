"""The statements behind what is shown of jobs: pages by key."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSON

from core.failures import WHOLE
from core.records import Job, Policy, Stage
from service.store import schema
from service.store.queries import queries_for

SortKey = datetime | float | int | None

_job, _trial, _arm = schema.job, schema.trial, schema.arm
# The random streams, which are wide, are not read: who looks at a job draws nothing.
_JOB_COLUMNS = [
    sa.literal_column("''") if name == "mab_random_generator_state" else _job.c[name]
    for name in Job.__struct_fields__
]
_IS_RUNNING = sa.text("status = 'Dispatched'")
_IS_EXPLORATION = sa.text("type = 'Exploration' AND status <> 'Failed'")


class Chosen(Struct, frozen=True, kw_only=True):
    """Which jobs are wanted; what is None leaves all in.

    ``may_be_stuck`` and ``has_failures`` leave in at least those that are so: to tell for certain is core's.
    """

    prefix: str = ""
    stage: Stage | None = None
    policy: Policy | None = None
    is_paused: bool | None = None
    is_running: bool | None = None
    may_be_stuck: bool = False
    has_failures: bool = False


class Place(Struct, frozen=True):
    """Where a job stands in an order: by its key, then by its name."""

    key: SortKey
    job_id: str


class Order(Struct, frozen=True):
    """An order of jobs, by one of ``KEYS``; jobs without the key come last."""

    key: str
    is_descending: bool


def _saved_cost() -> sa.ColumnElement[Any]:
    """Return what ``core.savings.savings_of`` calls the cost that a job has saved, NULL where it has none."""
    count = sa.func.nullif(_job.c.num_default, 0)
    time = _job.c.num_converged * (_job.c.default_time / count) - _job.c.spent_time
    energy = _job.c.num_converged * (_job.c.default_energy / count) - _job.c.spent_energy
    return _job.c.eta_knob * energy + (1 - _job.c.eta_knob) * _job.c.max_power * time


KEYS: dict[str, sa.ColumnElement[Any] | None] = {
    "job_id": None,
    "last_activity": _job.c.last_activity,
    "savings": _saved_cost(),
    "trials": _job.c.num_converged + _job.c.num_unconverged + _job.c.num_failed,
}
"""What jobs can be put in order by, the name beside None alone: trials are those that have ended."""


def jobs(
    connection: Connection, chosen: Chosen, order: Order, after: Place | None, limit: int
) -> list[tuple[Job, Place]]:
    """Load a page of jobs without their random streams, and where each stands in the order."""
    names = sa.select(_job.c.job_id).where(*_conditions(connection, chosen))
    if after is not None:
        names = names.where(_follows(order, after))
    # The names first, so that whole jobs are not put in order of which a page is left.
    page = names.order_by(*_ordering(order)).limit(limit).subquery()
    key = KEYS[order.key]
    select = (
        sa.select(*_JOB_COLUMNS, sa.null() if key is None else key)
        .join_from(page, _job, _job.c.job_id == page.c.job_id)
        .order_by(*_ordering(order))
    )
    return [(Job(*row[:-1]), Place(row[-1], row[0])) for row in connection.execute(select).all()]


def _conditions(connection: Connection, chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    running = sa.select(_trial.c.job_id).where(_IS_RUNNING)
    has_failures = sa.type_coerce(_job.c.failures, sa.Text) != "{}"
    conditions: list[tuple[bool, sa.ColumnElement[bool]]] = [
        # Not LIKE, which is blind to case on SQLite; nor a range, for which Postgres may have another order.
        (chosen.prefix != "", sa.func.substr(_job.c.job_id, 1, len(chosen.prefix)) == chosen.prefix),
        (chosen.stage is not None, _job.c.stage == chosen.stage),
        (chosen.policy is not None, _job.c.policy == chosen.policy),
        (chosen.is_paused is not None, _job.c.is_paused == chosen.is_paused),
        (chosen.is_running is True, _job.c.job_id.in_(running)),
        (chosen.is_running is False, _job.c.job_id.not_in(running)),
        (chosen.has_failures, has_failures),
        (
            chosen.may_be_stuck,
            sa.or_(
                sa.and_(has_failures, _has_nothing_left(connection)),
                _may_walk_no_further(has_failures),
                _may_have_given_up(has_failures),
            ),
        ),
    ]
    return [condition for is_wanted, condition in conditions if is_wanted]


def _has_nothing_left(connection: Connection) -> sa.ColumnElement[bool]:
    """Return the condition that a job in the bandit has set aside all arms or, if it prunes none, all."""
    prunes = _job.c.policy == Policy.ZEUS
    nothing_left = sa.case(
        (prunes, ~_has_usable(connection, _arm)), else_=~_has_usable(connection, schema.batch_size)
    )
    return sa.and_(_job.c.stage == Stage.MAB, nothing_left)


def _has_usable(connection: Connection, table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that a row of a job's in a table is of a batch size that is not set aside."""
    thirds: sa.ColumnElement[Any]
    failures, size = sa.type_coerce(_job.c.failures, sa.Text), sa.cast(table.c.batch_size, sa.Text)
    if connection.dialect.name == "sqlite":
        thirds = sa.func.json_extract(failures, sa.literal('$."').concat(size).concat('"[0]'))
    else:
        thirds = sa.cast(sa.cast(failures, JSON)[size][0].astext, sa.Integer)
    return (
        sa.exists()
        .where(table.c.job_id == _job.c.job_id, sa.func.coalesce(thirds, 0) < WHOLE * _job.c.max_failures)
        .correlate(_job)
    )


def _may_walk_no_further(has_failures: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return what holds wherever a walk ends too soon: something failed, or the last try was in vain."""
    newest = (
        sa.select(_trial.c.converged)
        .where(_trial.c.job_id == _job.c.job_id, _IS_EXPLORATION)
        .order_by(_trial.c.trial_number.desc())
        .limit(1)
        .correlate(_job)
        .scalar_subquery()
    )
    in_vain = sa.and_(_job.c.num_unconverged > 0, newest == sa.false())
    return sa.and_(_job.c.stage == Stage.PRUNING, sa.or_(has_failures, in_vain))


def _may_have_given_up(has_failures: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return what holds of a job that prunes nothing where all it may choose was tried in vain."""
    has_no_success = sa.or_(_job.c.min_cost.is_(None), has_failures, _job.c.num_drifts > 0)
    return sa.and_(_job.c.policy != Policy.ZEUS, _job.c.num_unconverged > 0, has_no_success)


def _ordering(order: Order) -> list[sa.ColumnElement[Any]]:
    key = KEYS[order.key]
    if key is None:
        return [_job.c.job_id.desc() if order.is_descending else _job.c.job_id]
    return [(key.desc() if order.is_descending else key.asc()).nulls_last(), _job.c.job_id]


def _follows(order: Order, place: Place) -> sa.ColumnElement[bool]:
    """Return the condition that a job comes after a place."""
    key, name = KEYS[order.key], _job.c.job_id
    if key is None:
        return name < place.job_id if order.is_descending else name > place.job_id
    if place.key is None:
        return sa.and_(key.is_(None), name > place.job_id)
    beyond = key < place.key if order.is_descending else key > place.key
    return sa.or_(beyond, sa.and_(key == place.key, name > place.job_id), key.is_(None))


def job(connection: Connection, job_id: str) -> Job | None:
    """Load a job without its random stream."""
    row = connection.execute(sa.select(*_JOB_COLUMNS).where(_job.c.job_id == job_id)).one_or_none()
    return None if row is None else Job(*row)


def running(connection: Connection, job_ids: Collection[str]) -> dict[str, int]:
    """Count the running trials of jobs, those of which none runs left out."""
    rows = connection.execute(queries_for(connection).running, {"job_ids": list(job_ids)}).all()
    return dict(rows)
