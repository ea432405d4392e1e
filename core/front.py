"""Which batch sizes are worth their time and energy, and which one each ``eta_knob`` would choose.

In the plane of time and energy a cost is linear, so that what any eta chooses is a corner of the lower convex
hull; over eta the cost of a batch size is a line, and the choices are the lower envelope of all lines.
Sources: You et al., "Zeus", NSDI '23, equation 2; M. de Berg et al., "Computational Geometry", 3rd edition,
section 8.2, for hull and envelope as duals.
"""

from collections.abc import Sequence

from msgspec import Struct


class Point(Struct, frozen=True):
    """A batch size, and the mean of what its trainings that converged took: seconds, joules."""

    batch_size: int
    time: float
    energy: float


class Segment(Struct, frozen=True):
    """A range of ``eta_knob`` in which one batch size costs least."""

    eta_from: float
    eta_to: float
    batch_size: int


def pareto_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other beats in time or energy without being worse in the other; by time."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.time, point.energy, point.batch_size)):
        is_equal = bool(front) and (point.time, point.energy) == (front[-1].time, front[-1].energy)
        if not front or point.energy < front[-1].energy or is_equal:
            front.append(point)
    return tuple(front)


def choices_over_eta(points: Sequence[Point], max_power: float) -> tuple[Segment, ...]:
    """Return the batch sizes of least cost over eta from 0 to 1, without gap; none where there are no points.

    Of batch sizes of equal time and energy the smallest stands for all.

    Args:
        points: Of distinct batch sizes.
        max_power: Watts, above 0.
    """
    corners = list({(point.time, point.energy): point for point in reversed(pareto_front(points))}.values())
    segments: list[Segment] = []
    eta_from = 0.0
    while corners:
        chosen = corners.pop()
        # The next one is the first to become cheaper; of several, that of the least energy.
        eta_to, place = min(
            ((_crossing(chosen, other, max_power), place) for place, other in enumerate(corners)),
            default=(1.0, 0),
        )
        if eta_to > eta_from:
            segments.append(Segment(eta_from, eta_to, chosen.batch_size))
            eta_from = eta_to
        del corners[place + 1 :]
    return tuple(segments)


def _crossing(faster: Point, frugal: Point, max_power: float) -> float:
    """Return the eta at which a point and one of more time and less energy cost the same."""
    more_time = max_power * (frugal.time - faster.time)
    return more_time / (more_time + (faster.energy - frugal.energy))
