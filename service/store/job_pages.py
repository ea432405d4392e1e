"""The statements behind what is shown of jobs: pages by key."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.records import Job, Policy, Stage
from service.store import schema
from service.store.queries import queries_for

SortKey = datetime | float | int | None

_job, _trial = schema.job, schema.trial
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
    key = KEYS[order.key]
    select = sa.select(*_JOB_COLUMNS, sa.null() if key is None else key).where(*_conditions(chosen))
    if after is not None:
        select = select.where(_follows(order, after))
    rows = connection.execute(select.order_by(*_ordering(order)).limit(limit)).all()
    return [(Job(*row[:-1]), Place(row[-1], row[0])) for row in rows]


def _conditions(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
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
        (chosen.may_be_stuck, sa.or_(has_failures, _may_be_at_a_dead_end())),
    ]
    return [condition for is_wanted, condition in conditions if is_wanted]


def _may_be_at_a_dead_end() -> sa.ColumnElement[bool]:
    """Return the condition without which no walk ends: the last that was explored has not converged."""
    newest = (
        sa.select(_trial.c.converged)
        .where(_trial.c.job_id == _job.c.job_id, _IS_EXPLORATION)
        .order_by(_trial.c.trial_number.desc())
        .limit(1)
        .correlate(_job)
        .scalar_subquery()
    )
    return sa.and_(_job.c.stage == Stage.PRUNING, _job.c.num_unconverged > 0, newest == sa.false())


def _ordering(order: Order) -> list[sa.ColumnElement[Any]]:
    key = KEYS[order.key]
    if key is None:
        return [_job.c.job_id.desc() if order.is_descending else _job.c.job_id]
    return [key.is_(None), key.desc() if order.is_descending else key, _job.c.job_id]


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
