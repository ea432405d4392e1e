"""How often each batch size was chosen, as time went on."""

from collections.abc import Iterator, Mapping

from service.dashboard.charts import words
from service.dashboard.charts.axes import numbers, percents
from service.dashboard.charts.cells import put_together, shares
from service.dashboard.charts.figure import Bar, Figure, Frame, Key, Shape
from service.dashboard.charts.scales import Linear
from service.store.series import Series
from service.views.figures import count, percent
from service.views.shapes import JobView

COLUMNS = 40
FRAME = Frame(260.0)
COLOURS = 8
GAP = 1.0
OTHERS = Key("others", Shape.BAR, f"s{COLOURS}")


def shares_figure(job: JobView, series: Series) -> Figure:
    """Draw columns of neighbouring trials, each divided by the batch sizes that they had."""
    bins = max(1, -(-(series.last - series.first + 1) // (series.width * COLUMNS)))
    x = Linear(series.first - 0.5, series.last + 0.5, FRAME.left, FRAME.right)
    y = Linear(0.0, 1.0, FRAME.bottom, FRAME.top)
    keys = _keys(job)
    columns = shares(put_together(series.cells, bins, lambda cell: cell.batch_size))
    marks = [
        bar
        for number, parts in columns.items()
        for bar in _column(
            words.trials(series, number, bins), _places(series, number, bins, x), parts, keys, y
        )
    ]
    each = "a trial" if bins * series.width == 1 else f"{count(bins * series.width)} trials"
    return Figure(
        name="shares",
        title="Choices over time",
        description=f"How large a part of the trials of {job.job_id} each batch size had, as time went on; "
        "the parts of all trials are in the table of batch sizes.",
        caption=f"A column is {each}, divided by batch size.",
        frame=FRAME,
        x=numbers(words.axis(series), x),
        y=percents("part of trials", y),
        marks=tuple(marks),
        keys=tuple(dict.fromkeys(keys.values())),
    )


def _keys(job: JobView) -> dict[int, Key]:
    """Return the key of each batch size that was tried, ascending by colour.

    Where there are too few colours, the batch sizes that were chosen least share the last one.
    """
    tried = sorted(
        (view for view in job.batch_sizes if view.num_trials), key=lambda view: view.num_trials, reverse=True
    )
    own = tried if len(tried) <= COLOURS else tried[: COLOURS - 1]
    keys = {
        size: Key(str(size), Shape.BAR, f"s{place}")
        for place, size in enumerate(sorted(view.batch_size for view in own), 1)
    }
    return keys | {view.batch_size: OTHERS for view in tried if view.batch_size not in keys}


def _places(series: Series, number: int, bins: int, x: Linear) -> tuple[float, float]:
    """Return where a column begins and how wide it is."""
    first, last = words.numbers(series, number, bins)
    start = x(first - 0.5)
    return start, max(0.5, round(x(last + 0.5) - start - GAP, 1))


def _column(
    who: str, place: tuple[float, float], parts: Mapping[int, float], keys: Mapping[int, Key], y: Linear
) -> Iterator[Bar]:
    """Go through what a column is made of, from the bottom to the top."""
    by_key: dict[Key, float] = {}
    for size, key in keys.items():
        by_key[key] = by_key.get(key, 0.0) + parts.get(size, 0.0)
    start, width = place
    below = 0.0
    for key, part in by_key.items():
        if part:
            name = key.label if key is OTHERS else f"batch size {key.label}"
            top = y(below + part)
            title = f"{who}: {name} in {percent(part)}"
            yield Bar(start, top, width, round(y(below) - top, 1), f"share {key.style}", title)
        below += part
