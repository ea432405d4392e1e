"""The time-energy plane: what a training takes at each batch size, and which ones some eta would choose."""

from collections.abc import Sequence
from itertools import compress

from core.front import Point as Spot
from core.front import choices_over_eta, pareto_front
from service.dashboard.charts.axes import ENERGY, TIME, measured
from service.dashboard.charts.figure import Figure, Frame, Key, Mark, Note, Path, Point, Shape, polyline
from service.dashboard.charts.scales import Linear, around
from service.views.figures import joules, seconds
from service.views.shapes import JobView

FRAME = Frame(340.0)
NEAR = 22.0
"""Labels nearer than this to one that is there are left out; those of the front come first."""


def plane_figure(job: JobView, spots: Sequence[Spot], chosen: int | None) -> Figure | None:
    """Draw the mean time and energy at each batch size and the front; None where nothing has converged.

    Args:
        job: Whose batch sizes they are.
        spots: Each batch size at which trainings converged.
        chosen: The one that is marked.
    """
    if not spots:
        return None
    x = Linear(*around((spot.time for spot in spots), 0), FRAME.left, FRAME.right)
    y = Linear(*around((spot.energy for spot in spots), 0), FRAME.bottom, FRAME.top)
    front = pareto_front(spots)
    choices = {segment.batch_size for segment in choices_over_eta(spots, job.specification.max_power)}
    marks: list[Mark] = [Path(polyline([(x(spot.time), y(spot.energy)) for spot in front]), "front")]
    notes: list[Note] = []
    # Those of the front are named first, and drawn last.
    for spot in [*front, *(spot for spot in spots if spot not in front)]:
        size, at, height = spot.batch_size, x(spot.time), y(spot.energy)
        title = f"Batch size {size}: {seconds(spot.time)} and {joules(spot.energy)} a training on average"
        style = ("s3" if size in choices else "muted") + (" chosen" if size == chosen else "")
        shape = Shape.DOT if spot in front else Shape.RING
        marks.insert(1, Point(at, height, shape, style, title, 5.0, str(size)))
        beside, anchor = (-9, "end") if at > FRAME.right - 90 else (9, "start")
        if all(abs(at + beside - note.x) > 2 * NEAR or abs(height - 7 - note.y) > NEAR for note in notes):
            text = f"{size} (default)" if size == job.default_batch_size else str(size)
            emphasis = "chosen" if size == chosen else ""
            notes.append(Note(at + beside, height - 7, text, emphasis, anchor, str(size)))
    keys = (
        Key("cheapest for some eta", Shape.DOT, "s3"),
        Key("on the front, the cheapest for no eta", Shape.DOT, "muted"),
        Key("beaten in both", Shape.RING, "muted"),
    )
    is_shown = (True, len(front) > len(choices), len(spots) > len(front))
    return Figure(
        name="plane",
        title="Time and energy of a training",
        description=f"The mean time and energy of trainings of {job.job_id} that reached the target, by "
        "batch size; the numbers are in the table of batch sizes. The cheapest for some eta are "
        f"{', '.join(map(str, sorted(choices)))}.",
        caption="Means of the trainings that reached the target. No batch size takes less time and less "
        "energy than one on the line, the Pareto front.",
        frame=FRAME,
        x=measured("time", x, TIME),
        y=measured("energy", y, ENERGY),
        marks=(*marks, *notes),
        keys=tuple(compress(keys, is_shown)),
    )
