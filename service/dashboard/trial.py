"""A trial, and why it has its batch size."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import NormalDist

from msgspec import Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from service.dashboard.pages import page
from service.views.decision import decision_view
from service.views.shapes import DecisionView, TrialView, WeighedView
from service.views.trials import lot_of, trial_view
from service.web.decoding import named
from service.web.wire import JobId, Positive

HALF = NormalDist().inv_cdf(0.975)
"""Standard deviations from the mean to the bounds of its central 95 %."""
WIDTH, MARGIN = 200.0, 6.0
"""Of what is drawn for an arm."""
ROOM = 1.0
"""How far intervals may widen the scale to either side, as a part of what all means and samples span."""


class Drawn(Struct, frozen=True):
    """An arm, its interval in joules, and where that, its mean and its sample lie on the scale of all.

    What there is none of is None.
    """

    arm: WeighedView
    interval: tuple[float, float] | None
    line: tuple[float, float] | None
    mean: float | None
    sample: float | None


class Picture(Struct, frozen=True):
    """The arms that were weighed, and the ends of their scale in joules; None where nothing is drawn."""

    arms: list[Drawn]
    scale: tuple[float, float] | None


async def trial(request: Request) -> Response:
    """Show a trial."""
    asked = request.query_params
    job_id = named(asked.get("id", ""), JobId, "query", "id")
    number = named(asked.get("number", ""), Positive, "query", "number", strict=False)
    request.user.ensure_reaches(job_id)
    known = await request.app.state.database.read(partial(_read, job_id=job_id, number=number))
    return page(
        request,
        "trial.html",
        trial=known.trial,
        decision=known.decision,
        picture=drawn(known.decision.arms),
        is_last=known.is_last,
    )


class Known(Struct, frozen=True):
    """What is known of a trial, and whether it is the job's last one."""

    trial: TrialView
    decision: DecisionView
    is_last: bool


def _read(connection: Connection, job_id: str, number: int) -> Known:
    return Known(
        trial_view(connection, job_id, number),
        decision_view(connection, job_id, number),
        is_last=not lot_of(connection, job_id, number, 1),
    )


def drawn(arms: Sequence[WeighedView]) -> Picture:
    """Put arms on a scale that shows every mean and sample, and of the intervals as much as has room."""
    points = [arm.mean_cost for arm in arms if arm.deviation is not None]
    points += [arm.sampled_cost for arm in arms if arm.sampled_cost is not None]
    if not points:
        return Picture([Drawn(arm, None, None, None, None) for arm in arms], None)
    room = ROOM * (max(points) - min(points) or abs(points[0]) or 1.0)
    bounds = [bound for arm in arms for bound in interval_of(arm) or ()]
    low = min(points + [max(bound, min(points) - room) for bound in bounds])
    high = max(points + [min(bound, max(points) + room) for bound in bounds])

    def x(cost: float) -> float:
        part = (cost - low) / (high - low) if high > low else 0.5
        return round(MARGIN + min(1.0, max(0.0, part)) * (WIDTH - 2 * MARGIN), 1)

    return Picture([_drawn(arm, x) for arm in arms], (low, high))


def interval_of(arm: WeighedView) -> tuple[float, float] | None:
    """Return the central 95 % of an arm's posterior mean, in joules; None where nothing is known of it."""
    if arm.deviation is None:
        return None
    half = HALF * arm.deviation
    return arm.mean_cost - half, arm.mean_cost + half


def _drawn(arm: WeighedView, x: Callable[[float], float]) -> Drawn:
    interval = interval_of(arm)
    return Drawn(
        arm,
        interval,
        line=interval and (x(interval[0]), x(interval[1])),
        mean=x(arm.mean_cost) if interval else None,
        sample=None if arm.sampled_cost is None else x(arm.sampled_cost),
    )
