"""The latest trials of many jobs, for a line a job: one statement a page."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.records import TrialStatus
from service.store.queries import PostgresKeys, SQLiteKeys
from service.store.schema import job, trial

LATEST = 40
"""Trials of a job."""


class Recent(Struct, frozen=True):
    """A trial that has ended; ``cost`` in joules where it converged, None where what it took is lost."""

    trial_number: int
    cost: float | None


class Latest(Struct, frozen=True):
    """The latest trials of a job, ascending; ``usual`` is the mean cost of those at its default batch size.

    It is in joules, of all that converged there, None while there is none.
    """

    usual: float | None
    trials: list[Recent]


def latest(connection: Connection, job_ids: Collection[str]) -> dict[str, Latest]:
    """Load those of each job's last 40 trials that have ended; jobs without any are left out."""
    found: dict[str, Latest] = {}
    statement = _STATEMENTS[connection.dialect.name]
    for job_id, usual, number, cost in connection.execute(statement, {"job_ids": list(job_ids)}).all():
        found.setdefault(job_id, Latest(usual, [])).trials.append(Recent(number, cost))
    return found


def _cost(time: sa.ColumnElement[Any], energy: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a cost as ``core.cost`` reckons it."""
    return job.c.eta_knob * energy + (1 - job.c.eta_knob) * job.c.max_power * time


# However many trials there are, these are found by their numbers.
_IS_LATEST = sa.and_(
    trial.c.job_id == job.c.job_id,
    trial.c.trial_number > job.c.last_trial_number - sa.literal_column(str(LATEST)),
)
_HAS_ENDED = trial.c.status != TrialStatus.DISPATCHED
_COST = sa.case((trial.c.converged, _cost(trial.c.time, trial.c.energy)))
_ENDED = (trial.c.trial_number, _COST.label("cost"))
_NUM_DEFAULT = sa.func.nullif(job.c.num_default, 0)
_USUAL = _cost(job.c.default_time / _NUM_DEFAULT, job.c.default_energy / _NUM_DEFAULT)


def _for_sqlite() -> sa.Select[Any]:
    found = sa.select(job.c.job_id, _USUAL, *_ENDED).select_from(job.join(trial, _IS_LATEST))
    return found.where(SQLiteKeys().named(job.c.job_id), _HAS_ENDED).order_by(
        job.c.job_id, trial.c.trial_number
    )


def _for_postgres() -> sa.Select[Any]:
    # As in service.store.queries: the offset keeps the planner from beginning with the table of all trials.
    ended = sa.select(*_ENDED).where(_IS_LATEST, _HAS_ENDED).offset(sa.literal_column("0"))
    found = ended.correlate(job).lateral("found")
    chosen = sa.select(job.c.job_id, _USUAL, *found.c).select_from(job.join(found, sa.true()))
    return chosen.where(PostgresKeys().named(job.c.job_id)).order_by(job.c.job_id, found.c.trial_number)


_STATEMENTS = {"sqlite": _for_sqlite(), "postgresql": _for_postgres()}
