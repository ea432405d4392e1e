"""Cost against batch size: what is believed of each, and every trial."""

from collections.abc import Sequence
from itertools import pairwise

from service.dashboard.charts import words
from service.dashboard.charts.axes import ENERGY, measured, sizes
from service.dashboard.charts.cells import results, thinned
from service.dashboard.charts.figure import Bar, Figure, Frame, Key, Mark, Note, Path, Point, Shape
from service.dashboard.charts.scales import Linear, Log2, around
from service.store.series import Cell, Series
from service.views.figures import count, joules, percent
from service.views.shapes import BatchSizeView, JobView

MOST_DOTS = 1_500
FRAME = Frame(500.0, top=44.0)
WIDEST = 44.0
"""Of the column of a batch size."""
CAP = 5.0
"""Half the width of the ends of an interval."""


def costs_figure(job: JobView, series: Series) -> Figure:
    """Draw what trials cost by batch size, the oldest on the left of a column, and what is believed of it."""
    known = {view.batch_size: view for view in job.batch_sizes}
    bins, cells = 1, results(series.cells)
    if series.width > 1:  # each cell may be two dots
        bins, cells = thinned(cells, MOST_DOTS // 2, lambda cell: (cell.batch_size, cell.converged))
    x, width = _across([*known, *(cell.batch_size for cell in cells)])
    values = [cost for cell in cells for cost in (cell.lowest_cost, cell.highest_cost) if cost is not None]
    means = [view.mean_cost for view in known.values() if view.mean_cost is not None]
    y = Linear(*around(values + means), FRAME.bottom, FRAME.top)
    marked = _marked(job)
    marks: list[Mark] = [
        Bar(x(size) - width / 2, FRAME.top, width, FRAME.bottom - FRAME.top, style)
        for size, _, style in marked
    ]
    marks += [Note(x(size), FRAME.top - 8, text, style) for size, text, style in marked]
    marks += _dots(cells, series, bins, x, y, width)
    for view in known.values():
        marks += _belief(view, x, y)
    endings = {words.ending(cell) for cell in cells}
    caption = "A training's cost by its batch size; in a column the oldest is on the left."
    if series.width * bins > 1:
        many = count(series.width * bins)
        caption += f" Of up to {many} trials in a row the cheapest and the dearest are drawn."
    return Figure(
        name="costs",
        title="Cost against batch size",
        description=_description(job, means),
        caption=caption,
        frame=FRAME,
        x=sizes("batch size", x, sorted(known), [size for size, _, _ in marked]),
        y=measured("cost", y, ENERGY),
        marks=tuple(marks),
        keys=(
            *((Key("mean, with its 95 % interval", Shape.INTERVAL, "accent"),) if means else ()),
            *words.ending_keys("muted", endings),
        ),
    )


def _across(batch_sizes: Sequence[int]) -> tuple[Log2, float]:
    """Return the scale of batch sizes, and how wide their columns are."""
    low, high = min(batch_sizes), max(batch_sizes)
    room = WIDEST / 2 + 4
    # A lone one is in the middle.
    scale = (
        Log2(low / 2, high * 2, FRAME.left, FRAME.right)
        if low == high
        else Log2(low, high, FRAME.left + room, FRAME.right - room)
    )
    places = sorted({scale(size) for size in batch_sizes})
    return scale, min([WIDEST, *((right - left) * 0.85 for left, right in pairwise(places))])


def _marked(job: JobView) -> list[tuple[int, str, str]]:
    """Return the batch sizes that are marked, with what is said of them and how they look."""
    default, best = job.default_batch_size, job.best_batch_size
    if best is None:
        return [(default, "default", "column-default")]
    if best == default:
        return [(best, "best = default", "column-best")]
    return [(default, "default", "column-default"), (best, "best", "column-best")]


def _dots(cells: Sequence[Cell], series: Series, bins: int, x: Log2, y: Linear, width: float) -> list[Mark]:
    """Return a dot for each cell of one cost, for all others two and what is between them."""
    dots: list[Mark] = []
    spans: list[str] = []
    last = max(1, max((cell.bin for cell in cells), default=1))
    for cell in cells:
        place = round(x(cell.batch_size) + (cell.bin / last - 0.5) * width * 0.8, 1)
        low, high = cell.lowest_cost, cell.highest_cost
        if low is None or high is None:
            continue
        if low < high:
            spans.append(f"M{place:g} {y(low):g}V{y(high):g}")
        who = words.trials(series, cell.bin, bins)
        ended = words.ending(cell)
        for cost in sorted({low, high}):
            title = f"{who}, batch size {cell.batch_size}: {joules(cost)}, {words.MEANINGS[ended]}"
            dots.append(Point(place, y(cost), words.SHAPES[ended], "muted", title, 2.6))
    return [Path("".join(spans), "span"), *dots] if spans else dots


def _belief(view: BatchSizeView, x: Log2, y: Linear) -> list[Mark]:
    """Return the mean of an arm with its interval, as far as there is room for it."""
    if view.mean_cost is None:
        return []
    middle, mean = x(view.batch_size), y(view.mean_cost)
    title = f"Batch size {view.batch_size}: {joules(view.mean_cost)} on average"
    marks: list[Mark] = []
    if view.interval is not None:
        low, high = view.interval
        title += f", with 95 % probability {joules(low)} to {joules(high)}"
        ends = "".join(
            f"M{middle - CAP:g} {y(end):g}h{2 * CAP:g}" for end in (low, high) if y.low <= end <= y.high
        )
        marks.append(Path(f"M{middle:g} {y(low):g}V{y(high):g}{ends}", "interval accent"))
    if view.probability_best is not None:
        title += f"; the best with {percent(view.probability_best)}"
    return [*marks, Point(middle, mean, Shape.DOT, "belief accent", title, 5.0)]


def _description(job: JobView, means: Sequence[float]) -> str:
    begin = f"The costs of trainings of {job.job_id} by batch size"
    if not means:
        return f"{begin}. Nothing is believed of their means yet."
    best = "There is no best one" if job.best_batch_size is None else f"The best is {job.best_batch_size}"
    return (
        f"{begin}, with the mean that is believed of each and its 95 % interval. {best}, the default is "
        f"{job.default_batch_size}; all numbers are in the table of batch sizes."
    )
