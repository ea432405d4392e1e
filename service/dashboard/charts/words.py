"""What the charts call things."""

from core.records import TrialStatus
from service.dashboard.charts.figure import Key, Shape
from service.store.series import Cell, Series
from service.views.figures import count

SHAPES = {"converged": Shape.DOT, "unconverged": Shape.RING, "failed": Shape.CROSS, "running": Shape.TRIANGLE}
"""The shape of a trial by its ending."""
MEANINGS = {
    "converged": "reached the target",
    "unconverged": "missed the target or was stopped early",
    "failed": "failed",
    "running": "still running",
}


def ending(cell: Cell) -> str:
    """Return the name of how the trials of a cell ended."""
    if cell.status is TrialStatus.SUCCEEDED:
        return "converged" if cell.converged else "unconverged"
    return "failed" if cell.status is TrialStatus.FAILED else "running"


def ending_keys(style: str, endings: set[str]) -> tuple[Key, ...]:
    """Return the keys of endings, each with its shape."""
    return tuple(
        Key(meaning, SHAPES[name], "bad" if name == "failed" else style)
        for name, meaning in MEANINGS.items()
        if name in endings
    )


def trials(series: Series, number: int, bins: int = 1) -> str:
    """Return the name of the trials of so many bins that are put together."""
    first, last = numbers(series, number, bins)
    return f"Trial {count(first)}" if first == last else f"Trials {count(first)} to {count(last)}"


def numbers(series: Series, number: int, bins: int) -> tuple[int, int]:
    """Return the first and the last trial number of so many bins that are put together."""
    return series.numbers(number * bins)[0], series.numbers((number + 1) * bins - 1)[1]


def axis(series: Series) -> str:
    """Return the title of an axis of trial numbers, which says when they began."""
    first, last = series.begin, series.end
    if first is None or last is None:
        return "trial"
    if f"{first:%F %R}" == f"{last:%F %R}":
        return f"trial, on {first:%Y-%m-%d} at {first:%H:%M} UTC"
    if first.date() == last.date():
        return f"trial, on {first:%Y-%m-%d} from {first:%H:%M} to {last:%H:%M} UTC"
    return f"trial, from {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def crowd(num_trials: int) -> str:
    """Return the sentence that says for how many trials a mark may stand, empty where it is one."""
    return "" if num_trials == 1 else f" A mark stands for up to {count(num_trials)} trials in a row."
