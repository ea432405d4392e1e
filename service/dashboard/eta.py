"""What another eta would choose, and what trainings would then take."""

from collections.abc import Sequence

from msgspec import Struct, json
from msgspec.structs import replace

from core.cost import cost_of
from core.front import Point, Segment, choices_over_eta
from service.views.figures import joules, seconds
from service.views.shapes import JobView

STEPS = 100
"""Of the slider, from 0 to 1."""


class Choice(Struct, frozen=True, array_like=True):
    """The batch size chosen at a step of the slider, and what a training at it takes, in words."""

    batch_size: int
    time: str
    energy: str
    cost: str


class Range(Struct, frozen=True):
    """What a batch size is chosen for: eta from here to there; and what a training at it takes, in words."""

    eta_from: float
    eta_to: float
    batch_size: int
    time: str
    energy: str


class EtaView(Struct, frozen=True):
    """Where the slider stands, the choice at each of its steps, and the ranges behind them."""

    step: int
    choices: tuple[Choice, ...]
    ranges: tuple[Range, ...]

    @property
    def chosen(self) -> Choice:
        """Return the choice where the slider stands."""
        return self.choices[self.step]

    @property
    def encoded(self) -> str:
        """Return the choices as the slider's script reads them."""
        return json.encode(self.choices).decode()


def spots_of(job: JobView) -> list[Point]:
    """Return the batch sizes at which trainings have converged, with their means."""
    return [
        Point(view.batch_size, view.mean_time, view.mean_energy)
        for view in job.batch_sizes
        if view.mean_time is not None and view.mean_energy is not None
    ]


def eta_view(job: JobView, spots: Sequence[Point], eta: float) -> EtaView | None:
    """Return what each eta would choose, None where nothing has converged.

    Args:
        job: Whose batch sizes they are.
        spots: Each batch size at which trainings converged.
        eta: Where the slider stands, from 0 to 1.
    """
    segments = choices_over_eta(spots, job.specification.max_power)
    if not segments:
        return None
    means = {spot.batch_size: spot for spot in spots}

    def choice(step: int) -> Choice:
        at = step / STEPS
        spot = means[next(segment.batch_size for segment in segments if at <= segment.eta_to)]
        cost = cost_of(replace(job.specification, eta_knob=at), spot.time, spot.energy)
        return Choice(spot.batch_size, seconds(spot.time), joules(spot.energy), joules(cost))

    def taken(segment: Segment) -> Range:
        spot = means[segment.batch_size]
        return Range(
            segment.eta_from, segment.eta_to, spot.batch_size, seconds(spot.time), joules(spot.energy)
        )

    return EtaView(round(eta * STEPS), tuple(map(choice, range(STEPS + 1))), tuple(map(taken, segments)))
