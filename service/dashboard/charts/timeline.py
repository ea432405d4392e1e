"""The trials of a job one after another: at which batch size, in which stage, how each ended."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import sqrt

from core.pruning import prunes
from core.records import Stage, TrialStatus, TrialType
from service.dashboard.charts import words
from service.dashboard.charts.axes import APART, numbers
from service.dashboard.charts.cells import Phase, phases, put_together
from service.dashboard.charts.drifts import DRIFT, drift_marks
from service.dashboard.charts.figure import Axis, Bar, Figure, Frame, Key, Mark, Note, Point, Shape, Tick
from service.dashboard.charts.scales import Linear, Rows, spread
from service.store.series import Cell, Series
from service.views.figures import count
from service.views.shapes import JobView

MOST_SINGLE = 120
"""Trials that are each a mark."""
COLUMNS = 60
"""Of marks beside each other, where there are more."""
ROW = 24.0
SHORTEST, TALLEST = 150.0, 460.0
SINGLE, SMALLEST, LARGEST = 3.4, 1.6, 4.4
"""Marks of a trial, of a small and of a large part of those that they stand for."""
LANES = {"converged": 0.0, "unconverged": -0.3, "failed": 0.3, "running": 0.0}
"""Where marks of several trials lie in a row, as a part of its height, by how these ended."""
LETTER = 9.0
"""How wide a letter is at most, about."""
STYLES = {Stage.PRUNING: "s1", Stage.MAB: "s2"}
NAMES = {Stage.PRUNING: "pruning", Stage.MAB: "bandit"}
EXPLORING = NAMES | {Stage.PRUNING: "exploring"}
"""Where nothing is pruned, and what has not converged yet may be explored at any time."""


def timeline_figure(job: JobView, series: Series) -> Figure:
    """Draw trials in the rows of their batch sizes; where several are one mark, the larger the more."""
    sizes = [view.batch_size for view in job.batch_sizes]
    frame = Frame(min(TALLEST, max(SHORTEST, 80.0 + ROW * len(sizes))), top=38.0)
    rows = Rows(tuple(reversed(sizes)), frame.top, frame.bottom)
    places = rows.places()
    x = Linear(series.first - 0.5, series.last + 0.5, frame.left + 5, frame.right - 5)
    is_pruned = prunes(job.specification)
    names = NAMES if is_pruned else EXPLORING
    stretches = phases(series, job.specification.num_pruning_rounds) if is_pruned else []
    num_trials = series.last - series.first + 1
    bins = 1 if num_trials <= MOST_SINGLE else -(-num_trials // (series.width * COLUMNS))
    width = series.width * bins

    def mark(cell: Cell) -> Point:
        """Return the mark of a cell of bins that were put together."""
        ended, size = words.ending(cell), cell.batch_size
        stage = _stage_of(cell, stretches, bins)
        who, style = words.trials(series, cell.bin, bins), "bad" if ended == "failed" else STYLES[stage]
        place, row = x(sum(words.numbers(series, cell.bin, bins)) / 2), places[size]
        what = f"batch size {size}, {names[stage]}: {words.MEANINGS[ended]}"
        if width == 1:
            return Point(place, row, words.SHAPES[ended], style, f"{who}, {what}", SINGLE)
        # Marks of many trials would hide each other.
        lane = round(row + LANES[ended] * rows.height, 1)
        large = round(SMALLEST + (LARGEST - SMALLEST) * sqrt(cell.num_trials / width), 1)
        title = f"{who}, {count(cell.num_trials)} of them, {what}"
        return Point(place, lane, words.SHAPES[ended], style, title, large)

    # By type too, so that the stage of all trials of a mark is that of the first.
    cells = put_together(series.cells, bins, lambda cell: (cell.batch_size, cell.type, words.ending(cell)))
    shown = spread([(place, size) for size, place in places.items()], APART / 2, [job.default_batch_size])
    stages = {phase.stage for phase in stretches} or {_stage_of(cell, (), bins) for cell in cells}
    drifts = drift_marks(series, frame, x)
    return Figure(
        name="timeline",
        title="Trials one after another",
        description=f"The trials of {job.job_id} in the order in which they were dispatched, by batch size, "
        "stage and how they ended; their counts are in the table of batch sizes.",
        caption="Each trial in the row of its batch size." + words.crowd(width),
        frame=frame,
        x=numbers(words.axis(series), x),
        y=Axis("batch size", tuple(Tick(places[size], str(size)) for size in shown)),
        marks=(*_bands(stretches, series, frame, x), *drifts, *map(mark, sorted(cells, key=_depth))),
        keys=(
            *(Key(names[stage], Shape.BAR, style) for stage, style in STYLES.items() if stage in stages),
            *words.ending_keys("text", {words.ending(cell) for cell in cells}),
            *((DRIFT,) if drifts else ()),
        ),
    )


_STAGES = {TrialType.EXPLORATION: Stage.PRUNING, TrialType.MAB: Stage.MAB}


def _stage_of(cell: Cell, stretches: Sequence[Phase], bins: int) -> Stage:
    """Return the stage that trials of a type are of, or in which they were."""
    if cell.type in _STAGES or not stretches:
        return _STAGES.get(cell.type, Stage.MAB)
    number = cell.bin * bins
    return stretches[max(0, bisect_right(stretches, number, key=lambda phase: phase.first) - 1)].stage


def _depth(cell: Cell) -> tuple[bool, bool]:
    """Return what is drawn first: what is there most often."""
    return cell.status is not TrialStatus.SUCCEEDED, not cell.converged


def _bands(stretches: Sequence[Phase], series: Series, frame: Frame, x: Linear) -> Iterator[Mark]:
    """Go through the bands of the stages, and their names or the ends of these where there is room."""
    for phase in stretches:
        start, end = x(series.numbers(phase.first)[0] - 0.5), x(series.numbers(phase.last)[1] + 0.5)
        style = f"stage-{NAMES[phase.stage]}{'' if phase.round % 2 else ' even'}"
        yield Bar(start, frame.top, round(end - start, 1), frame.bottom - frame.top, style, phase.name)
        name = next((name for name in (phase.name, phase.short) if len(name) * LETTER < end - start), None)
        if name is not None:
            yield Note(round((start + end) / 2, 1), frame.top - 8, name, "stage")
