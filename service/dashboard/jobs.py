"""The first page: the jobs, what each does, chooses and has saved, and what is wrong with it."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated, TypeVar

from msgspec import Meta, Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from core.records import Stage
from service.dashboard.pages import address, page
from service.dashboard.sparkline import Sparkline, drawn
from service.errors import Flaw, InvalidRequest
from service.store import sparklines
from service.views.jobs import JobsQuery, Sort, jobs_view
from service.views.shapes import Activity, JobSummary, Trouble
from service.web.decoding import named
from service.web.wire import NO_NUL

K = TypeVar("K", bound=StrEnum)
Prefix = Annotated[str, Meta(max_length=400, pattern=NO_NUL)]

PER_PAGE = 50
FILTERS = ("prefix", "stage", "activity", "trouble")


class Row(Struct, frozen=True):
    """A job, and its latest costs."""

    job: JobSummary
    sparkline: Sparkline | None


class Column(Struct, frozen=True):
    """A column by which the jobs can be put in order: ``ordered`` is how they are by it, if at all."""

    title: str
    address: str
    ordered: str | None


class Listing(Struct, frozen=True):
    """What is listed; ``next`` is the cursor of the page after it."""

    rows: list[Row]
    next: str | None


async def jobs(request: Request) -> Response:
    """Show a page of jobs."""
    asked = {name: request.query_params.get(name, "") for name in (*FILTERS, "sort", "cursor")}
    query = query_of(asked, request.user.job_id_prefix)
    listing = await request.app.state.database.read(partial(listed, query=query))
    kept = {name: value for name, value in asked.items() if name != "cursor"}
    return page(
        request,
        "jobs.html",
        listing=listing,
        asked=asked,
        is_filtered=any(asked[name] for name in FILTERS),
        is_first=query.cursor is None,
        first=address("/", kept),
        following=address("/", {**kept, "cursor": listing.next}) if listing.next else None,
        columns={
            "job_id": _column("Job", "job_id", "-job_id", query.sort, kept),
            "savings": _column("Saved", "-savings", "savings", query.sort, kept),
            "trials": _column("Trials", "-trials", "trials", query.sort, kept),
            "last_activity": _column("Last activity", "-last_activity", "last_activity", query.sort, kept),
        },
        activities=[(each.value, each.value.capitalize()) for each in Activity],
        troubles=[(each.value, each.value.capitalize()) for each in Trouble],
        base_url=f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1:8000')}",
    )


def query_of(asked: Mapping[str, str], reach: str) -> JobsQuery:
    """Return what a page's query asks for, of the jobs whose names begin with ``reach``.

    Raises:
        InvalidRequest: It asks for something else.
    """
    return JobsQuery(
        reach=reach,
        prefix=named(asked["prefix"], Prefix, "query", "prefix"),
        stage=_one_of(Stage, asked, "stage"),
        activity=_one_of(Activity, asked, "activity"),
        trouble=_one_of(Trouble, asked, "trouble"),
        sort=_one_of(Sort, asked, "sort") or Sort.JOB_ID,
        limit=PER_PAGE,
        cursor=asked["cursor"] or None,
    )


def listed(connection: Connection, query: JobsQuery) -> Listing:
    """Read a page of jobs with their latest costs: one statement more than the jobs take."""
    view = jobs_view(connection, query)
    latest = sparklines.latest(connection, [job.job_id for job in view.jobs]) if view.jobs else {}
    lines = {job_id: drawn(found) for job_id, found in latest.items()}
    return Listing([Row(job, lines.get(job.job_id)) for job in view.jobs], view.next)


def _one_of(kind: type[K], asked: Mapping[str, str], name: str) -> K | None:
    if not asked[name]:
        return None
    try:
        return kind(asked[name])
    except ValueError:
        sentence = f"{name} is one of {', '.join(kind)}; {asked[name][:100]!r} is none"
        raise InvalidRequest(Flaw(("query", name), sentence, "value_error")) from None


def _column(title: str, first: str, second: str, sort: Sort, kept: Mapping[str, str]) -> Column:
    """Return a column whose jobs are put in the first order, or in the second where they are in the first."""
    ordered = None if sort not in {first, second} else "descending" if sort.startswith("-") else "ascending"
    return Column(title, address("/", {**kept, "sort": second if sort == first else first}), ordered)
