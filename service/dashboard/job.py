"""A job's page: what it chooses, why, what it has saved, and whether anything is wrong."""

import asyncio
from functools import partial

from msgspec import Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from core.records import TrialStatus
from service.dashboard.charts.costs import costs_figure
from service.dashboard.charts.figure import Figure
from service.dashboard.charts.plane import plane_figure
from service.dashboard.charts.recurrences import recurrences_figure, savings_figure
from service.dashboard.charts.share import shares_figure
from service.dashboard.charts.timeline import timeline_figure
from service.dashboard.eta import EtaView, eta_view, spots_of
from service.dashboard.pages import address, page
from service.errors import Flaw, InvalidRequest
from service.store.series import Series, series_of
from service.views.job import job_view
from service.views.shapes import JobView, TrialsView
from service.views.trials import TrialsQuery, trials_view
from service.web.decoding import named
from service.web.wire import JobId

TRIALS = 20
"""Of a page of them."""


class Figures(Struct, frozen=True):
    """The drawings; None where there is nothing to draw yet."""

    costs: Figure | None = None
    recurrences: Figure | None = None
    savings: Figure | None = None
    timeline: Figure | None = None
    plane: Figure | None = None
    shares: Figure | None = None


class JobPage(Struct, frozen=True):
    """All that the page shows; ``eta`` is None while nothing has converged."""

    job: JobView
    trials: TrialsView
    eta: EtaView | None
    figures: Figures


class Read(Struct, frozen=True):
    """What is read of a job for its page."""

    job: JobView
    trials: TrialsView
    series: Series


async def job(request: Request) -> Response:
    """Show a job."""
    job_id = named(request.query_params.get("id", ""), JobId, "query", "id")
    request.user.ensure_reaches(job_id)
    eta = _eta_of(request.query_params.get("eta"))
    cursor = request.query_params.get("trials") or None
    found = await request.app.state.database.read(partial(read, job_id=job_id, cursor=cursor))
    # A long history takes a tenth of a second to draw, for which trainings must not wait.
    return await asyncio.to_thread(_shown, request, found, eta)


def _shown(request: Request, found: Read, eta: float | None) -> Response:
    shown = drawn(found, eta)
    kept = {name: request.query_params.get(name) for name in ("id", "eta")}
    older = {**kept, "trials": shown.trials.next}
    return page(
        request,
        "job.html",
        job=shown.job,
        trials=shown.trials.trials,
        newest=address("/job", kept) if request.query_params.get("trials") else None,
        older=address("/job", older) if shown.trials.next else None,
        eta=shown.eta,
        figures=shown.figures,
    )


def read(connection: Connection, job_id: str, cursor: str | None = None) -> Read:
    """Read a job, in a number of statements that does not depend on its trials; ``cursor`` is of these.

    Raises:
        JobNotFound: There is no such job.
        InvalidRequest: The cursor is none.
    """
    job = job_view(connection, job_id)
    trials = trials_view(connection, TrialsQuery(job_id=job_id, limit=TRIALS, cursor=cursor))
    return Read(job, trials, series_of(connection, job.specification, len(job.batch_sizes)))


def drawn(found: Read, eta: float | None = None) -> JobPage:
    """Draw a job's page.

    Args:
        found: What was read of the job.
        eta: Where the slider stands, from 0 to 1; None for the job's own ``eta_knob``.
    """
    job, series = found.job, found.series
    if not series.cells:
        return JobPage(job, found.trials, None, Figures())
    spots = spots_of(job)
    view = eta_view(job, spots, job.specification.eta_knob if eta is None else eta)
    has_results = any(cell.status is TrialStatus.SUCCEEDED for cell in series.cells)
    figures = Figures(
        costs=costs_figure(job, series) if has_results else None,
        recurrences=recurrences_figure(job, series) if has_results else None,
        savings=savings_figure(job, series),
        timeline=timeline_figure(job, series),
        plane=plane_figure(job, spots, view.chosen.batch_size if view else None),
        shares=shares_figure(job, series),
    )
    return JobPage(job, found.trials, view, figures)


def _eta_of(text: str | None) -> float | None:
    """Return the eta that is asked for.

    Raises:
        InvalidRequest: It is no number from 0 to 1.
    """
    if not text:
        return None
    try:
        eta = float(text)
    except ValueError:
        eta = -1.0
    if not 0 <= eta <= 1:
        raise InvalidRequest(Flaw(("query", "eta"), "eta is a number from 0 to 1", "value_error"))
    return eta
