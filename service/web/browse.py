"""The calls that show jobs and trials: each turns a request into a view."""

from functools import partial
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from core.records import Policy, Stage, TrialStatus, TrialType
from service.views.decision import decision_view
from service.views.job import job_view
from service.views.jobs import JobsQuery, Sort, jobs_view
from service.views.shapes import Activity, Trouble
from service.views.trials import Age, TrialsQuery, trial_view, trials_view
from service.web.answers import answer
from service.web.decoding import job_of, trial_of
from service.web.query import QueryDecoder
from service.web.wire import NO_NUL, Positive

Limit = Annotated[int, Meta(ge=1, le=500)]
Cursor = Annotated[str, Meta(max_length=4000)]


class JobsAsked(Struct, frozen=True, kw_only=True):
    """The query of the list of jobs."""

    prefix: Annotated[str, Meta(max_length=400, pattern=NO_NUL, description="Of the job_id")] = ""
    stage: Stage | None = None
    policy: Policy | None = None
    activity: Activity | None = None
    trouble: Trouble | None = None
    sort: Sort = Sort.JOB_ID
    limit: Limit = 50
    cursor: Cursor | None = None


class TrialsAsked(Struct, frozen=True, kw_only=True):
    """The query of the list of a job's trials."""

    status: TrialStatus | None = None
    type: TrialType | None = None
    batch_size: Positive | None = None
    converged: bool | None = None
    order: Age = Age.NEWEST
    limit: Limit = 50
    cursor: Cursor | None = None


class NothingAsked(Struct, frozen=True):
    """The query of a call that takes none."""


_jobs = QueryDecoder(JobsAsked)
_trials = QueryDecoder(TrialsAsked)
_nothing = QueryDecoder(NothingAsked)


async def jobs(request: Request) -> Response:
    """List jobs: those that the caller reaches."""
    query = JobsQuery(reach=request.user.job_id_prefix, **asdict(_jobs.read(request)))
    return answer(await request.app.state.database.read(partial(jobs_view, query=query)))


async def job(request: Request) -> Response:
    """Show a job."""
    job_id = reached_job(request)
    _nothing.read(request)
    return answer(await request.app.state.database.read(partial(job_view, job_id=job_id)))


async def trials(request: Request) -> Response:
    """List the trials of a job."""
    query = TrialsQuery(job_id=reached_job(request), **asdict(_trials.read(request)))
    return answer(await request.app.state.database.read(partial(trials_view, query=query)))


async def trial(request: Request) -> Response:
    """Show a trial."""
    job_id, number = _reached_trial(request)
    _nothing.read(request)
    view = partial(trial_view, job_id=job_id, trial_number=number)
    return answer(await request.app.state.database.read(view))


async def decision(request: Request) -> Response:
    """Show why a trial has its batch size."""
    job_id, number = _reached_trial(request)
    _nothing.read(request)
    view = partial(decision_view, job_id=job_id, trial_number=number)
    return answer(await request.app.state.database.read(view))


def reached_job(request: Request) -> str:
    """Return the job that a path names.

    Raises:
        InvalidRequest: By no possible name.
        Forbidden: The caller does not reach it.
    """
    job_id = job_of(request)
    request.user.ensure_reaches(job_id)
    return job_id


def _reached_trial(request: Request) -> tuple[str, int]:
    """Return the job and the number of the trial that a path names.

    Raises:
        InvalidRequest: By no possible name or number.
        Forbidden: The caller does not reach it.
    """
    job_id, number = trial_of(request)
    request.user.ensure_reaches(job_id)
    return job_id, number
