"""What each training cost, one after another, and what has been saved up to it."""

from collections.abc import Sequence

from core.cost import cost_of
from service.dashboard.charts import words
from service.dashboard.charts.axes import ENERGY, measured, numbers
from service.dashboard.charts.cells import put_together, results, savings
from service.dashboard.charts.drifts import DRIFT, drift_marks
from service.dashboard.charts.figure import Figure, Frame, Key, Mark, Path, Point, Shape, area, polyline
from service.dashboard.charts.scales import Linear, around
from service.store.series import Cell, Series
from service.views.figures import joules, percent
from service.views.shapes import JobView

FRAME = Frame(260.0)
SAVINGS_FRAME = Frame(200.0)


def recurrences_figure(job: JobView, series: Series) -> Figure:
    """Draw the cost of each training; of bins of several their bounds and their mean."""
    cells = results(series.cells)
    x = _over_trials(series, FRAME)
    usual = usual_cost(job)
    values = [cost for cell in cells for cost in (cell.lowest_cost, cell.highest_cost) if cost is not None]
    y = Linear(*around([*values, *([usual] if usual is not None else [])]), FRAME.bottom, FRAME.top)
    marks: list[Mark] = _singles(cells, series, x, y) if series.width == 1 else _band(cells, series, x, y)
    keys: tuple[Key, ...] = (
        words.ending_keys("s1", {words.ending(cell) for cell in cells})
        if series.width == 1
        else (
            Key(f"mean of {series.width:,} trials", Shape.LINE, "s1"),
            Key("from the cheapest to the dearest of them", Shape.BAR, "s1"),
        )
    )
    if usual is not None:
        text = f"at the default {job.default_batch_size}: {joules(usual)}"
        marks.append(Path(f"M{FRAME.left:g} {y(usual):g}H{FRAME.right:g}", "baseline", text))
        keys = (*keys, Key(f"mean {text}", Shape.DASHES, "text"))
    drifts = drift_marks(series, FRAME, x)
    if drifts:
        marks += drifts
        keys = (*keys, DRIFT)
    return Figure(
        name="recurrences",
        title="Cost of each training",
        description=f"What each training of {job.job_id} cost, in the order in which they were dispatched"
        + (f", beside {joules(usual)}, the mean at the default batch size." if usual is not None else "."),
        frame=FRAME,
        x=numbers(words.axis(series), x),
        y=measured("cost", y, ENERGY, 5),
        marks=tuple(marks),
        keys=keys,
    )


def savings_figure(job: JobView, series: Series) -> Figure | None:
    """Draw the cost saved so far; None while there is nothing to compare with."""
    usual = usual_cost(job)
    if usual is None or job.savings is None:
        return None
    x = _over_trials(series, SAVINGS_FRAME)
    saved = savings(series.cells, usual)
    low, high = around([0.0, *(value for _, value in saved)])
    lowest = min((value for _, value in saved), default=0.0)
    y = Linear(min(low, lowest), high, SAVINGS_FRAME.bottom, SAVINGS_FRAME.top)
    line = [(x(series.first), y(0.0)), *((x(series.numbers(at)[1]), y(value)) for at, value in saved)]
    style = "good" if job.savings.cost >= 0 else "bad"
    end = f"{joules(job.savings.cost)}, {percent(job.savings.share)}"
    marks: list[Mark] = [
        Path(area(line, [(line[0][0], y(0.0)), (line[-1][0], y(0.0))]), f"area {style}"),
        Path(polyline(line), f"line {style}"),
        Path(f"M{SAVINGS_FRAME.left:g} {y(0.0):g}H{SAVINGS_FRAME.right:g}", "axis-line"),
        Point(*line[-1], Shape.DOT, style, f"Saved up to the last trial: {end}", 4.0),
    ]
    return Figure(
        name="savings",
        title="Cost saved so far",
        description=f"The cost that {job.job_id} has saved up to each trial, at the end {end}.",
        caption="What trainings at the default batch size would have cost on average, less what was spent.",
        frame=SAVINGS_FRAME,
        x=numbers(words.axis(series), x),
        y=measured("saved", y, ENERGY, 5),
        marks=tuple(marks),
    )


def usual_cost(job: JobView) -> float | None:
    """Return the mean cost of a training at the default batch size, in joules, None while none converged."""
    if job.savings is None:
        return None
    return cost_of(job.specification, job.savings.default_time, job.savings.default_energy)


def _over_trials(series: Series, frame: Frame) -> Linear:
    return Linear(series.first - 0.5, series.last + 0.5, frame.left + 4, frame.right - 4)


def _singles(cells: Sequence[Cell], series: Series, x: Linear, y: Linear) -> list[Mark]:
    marks: list[Mark] = []
    for cell in cells:
        ended = words.ending(cell)
        title = (
            f"{words.trials(series, cell.bin)}, batch size {cell.batch_size}: {joules(cell.cost)}, "
            f"{words.MEANINGS[ended]}"
        )
        place = x(series.first + cell.bin)
        marks.append(Point(place, y(cell.cost), words.SHAPES[ended], "s1", title, 3.0))
    return marks


def _band(cells: Sequence[Cell], series: Series, x: Linear, y: Linear) -> list[Mark]:
    upper, lower, middle = [], [], []
    for cell in put_together(cells, 1, lambda _: None):
        if cell.lowest_cost is None or cell.highest_cost is None:
            continue
        place = x(sum(series.numbers(cell.bin)) / 2)
        upper.append((place, y(cell.highest_cost)))
        lower.append((place, y(cell.lowest_cost)))
        middle.append((place, y(cell.cost / cell.num_trials)))
    return [Path(area(upper, lower), "area s1"), Path(polyline(middle), "line s1")] if middle else []
