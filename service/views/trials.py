"""The trials of a job: pages by number, filtered; a trial by itself; all of them, a lot at a time."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import Connection

from core.cost import cost_of
from core.records import Job, TrialStatus, TrialType
from service.errors import JobNotFound
from service.store import trial_pages
from service.store.trial_pages import ChosenTrials, TrialRow
from service.views.cursors import cursor_of, foreign, place_of
from service.views.decision import no_trial
from service.views.known import known_job
from service.views.shapes import TrialsView, TrialView


class Age(StrEnum):
    """Which trials come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


class TrialsQuery(Struct, frozen=True, kw_only=True):
    """Which page of a job's trials is wanted; what is None leaves all in.

    ``cursor`` is the ``next`` of the page before.
    """

    job_id: str
    status: TrialStatus | None = None
    type: TrialType | None = None
    batch_size: int | None = None
    converged: bool | None = None
    order: Age = Age.NEWEST
    limit: int = 50
    cursor: str | None = None


class _Cursor(Struct, frozen=True, array_like=True):
    order: Age
    trial_number: Annotated[int, Meta(ge=0, le=2**31 - 1)]


def trials_view(connection: Connection, query: TrialsQuery) -> TrialsView:
    """Return a page of a job's trials.

    Raises:
        JobNotFound: There is no such job.
        InvalidRequest: The cursor is not one of this order.
    """
    after = _after(query)
    job = known_job(connection, query.job_id)
    chosen = ChosenTrials(
        status=query.status, type=query.type, batch_size=query.batch_size, converged=query.converged
    )
    is_newest_first = query.order is Age.NEWEST
    rows = trial_pages.trials(
        connection, job.job_id, chosen, after, query.limit + 1, is_newest_first=is_newest_first
    )
    shown = rows[: query.limit]
    is_last = len(rows) <= query.limit
    return TrialsView(
        [_view(job, row) for row in shown],
        None if is_last else cursor_of(_Cursor(query.order, shown[-1].trial_number)),
    )


def _after(query: TrialsQuery) -> int | None:
    if query.cursor is None:
        return None
    cursor = place_of(query.cursor, _Cursor)
    if cursor.order is not query.order:
        raise foreign()
    return cursor.trial_number


def trial_view(connection: Connection, job_id: str, trial_number: int) -> TrialView:
    """Return a trial.

    Raises:
        JobNotFound: There is no such job.
        TrialNotFound: The job has no such trial.
    """
    job = known_job(connection, job_id)
    row = trial_pages.trial(connection, job_id, trial_number)
    if row is None:
        raise no_trial(job_id, trial_number)
    return _view(job, row)


def lot_of(connection: Connection, job_id: str, after: int, limit: int) -> list[TrialView]:
    """Return the next trials of a job that follow a number, the oldest first; none where the job has gone."""
    try:
        job = known_job(connection, job_id)
    except JobNotFound:
        return []
    rows = trial_pages.trials(connection, job_id, ChosenTrials(), after, limit, is_newest_first=False)
    return [_view(job, row) for row in rows]


def _view(job: Job, row: TrialRow) -> TrialView:
    cost = None if row.time is None or row.energy is None else cost_of(job, row.time, row.energy)
    return TrialView(**{name: getattr(row, name) for name in row.__struct_fields__}, cost=cost)
