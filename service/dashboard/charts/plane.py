"""The time-energy plane: what a training takes at each batch size, and which ones some eta would choose."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

from core.front import Point as Spot
from core.front import choices_over_eta, pareto_front
from service.dashboard.charts.axes import ENERGY, TIME, measured
from service.dashboard.charts.figure import Figure, Frame, Key, Mark, Note, Path, Point, Shape, polyline
from service.dashboard.charts.scales import Linear, around
from service.views.figures import joules, seconds
from service.views.shapes import JobView

FRAME = Frame(340.0)
SIZE = 5.0
BESIDE = 9.0
"""From the middle of a mark to its label."""
LETTER, LINE = 11.0, 18.0
"""Of a label, on a phone, where it is largest."""

Box = tuple[float, float, float, float]
"""The left, the top, the right and the bottom."""


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
    places: dict[int, tuple[float, float]] = {}
    # Those of the front are named first, and drawn last.
    for spot in [*front, *(spot for spot in spots if spot not in front)]:
        size = spot.batch_size
        places[size] = at, height = x(spot.time), y(spot.energy)
        title = f"Batch size {size}: {seconds(spot.time)} and {joules(spot.energy)} a training on average"
        style = ("s3" if size in choices else "muted") + (" chosen" if size == chosen else "")
        shape = Shape.DOT if spot in front else Shape.RING
        marks.insert(1, Point(at, height, shape, style, title, SIZE, str(size)))
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
        marks=(*marks, *_labels(places, job.default_batch_size, chosen)),
        keys=tuple(compress(keys, is_shown)),
    )


def _labels(places: Mapping[int, tuple[float, float]], default: int, chosen: int | None) -> Iterator[Note]:
    """Go through the labels of places, each where it hides no mark and no other label, if it can."""
    taken = [(at - SIZE, height - SIZE, at + SIZE, height + SIZE) for at, height in places.values()]
    for size, (at, height) in places.items():
        text = f"{size} (default)" if size == default else str(size)
        for note in (
            Note(at + BESIDE, height + 4, text, anchor="start"),
            Note(at - BESIDE, height + 4, text, anchor="end"),
            Note(at, height - BESIDE - 1, text),
            Note(at, height + BESIDE + 12, text),
        ):
            box = _box(note)
            if _is_within(box) and not any(_overlap(box, one) for one in taken):
                taken.append(box)
                yield Note(
                    note.x, note.y, text, "chosen" if size == chosen else "", note.anchor, name=str(size)
                )
                break


def _box(note: Note) -> Box:
    """Return what a label covers."""
    width = LETTER * len(note.text)
    left = note.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[note.anchor] * width
    return left, note.y - 0.75 * LINE, left + width, note.y + 0.25 * LINE


def _is_within(box: Box) -> bool:
    return box[0] >= FRAME.left and box[1] >= FRAME.top and box[2] <= FRAME.right and box[3] <= FRAME.bottom


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
