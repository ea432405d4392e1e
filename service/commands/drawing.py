"""A job's batch sizes drawn as text: mean costs with their intervals on a common axis."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from core.cost import cost_of
from service.commands.printing import Listing
from service.logs import printable
from service.views.figures import NONE, count, joules, percent
from service.views.shapes import BatchSizeState, BatchSizeView, JobView

NARROWEST, WIDEST = 12, 60
"""Columns of the axis."""
ROOMY = 90
"""Columns from which there is room for more numbers."""
WIDE = 110
BEYOND = 1.5
"""How far the axis goes beyond the means, in their range, whatever an interval needs."""


class Marks(NamedTuple):
    """The characters that an interval is drawn with."""

    line: str
    low: str
    high: str
    mean: str
    less: str
    more: str


DRAWN = Marks("─", "├", "┤", "●", "◂", "▸")
TYPED = Marks("-", "|", "|", "o", "<", ">")


class Estimate(NamedTuple):
    """A mean cost in joules, and its interval where there is a bounded one."""

    mean: float
    interval: tuple[float, float] | None


class Axis(NamedTuple):
    """Costs in joules from the first column to the last of so many."""

    low: float
    high: float
    width: int

    def column(self, cost: float) -> int:
        """Return the column of a cost, one outside where it is beyond the ends."""
        if cost < self.low:
            return -1
        if cost > self.high:
            return self.width
        span = self.high - self.low
        return round((cost - self.low) / span * (self.width - 1)) if span > 0 else self.width // 2


def estimate_of(job: JobView, seen: BatchSizeView) -> Estimate | None:
    """Return what a training at a batch size costs: of an arm the posterior, of others the mean so far."""
    if seen.mean_cost is not None:
        return Estimate(seen.mean_cost, seen.interval)
    if seen.mean_time is None or seen.mean_energy is None:
        return None
    return Estimate(cost_of(job.specification, seen.mean_time, seen.mean_energy), None)


def axis_of(estimates: Sequence[Estimate], width: int) -> Axis:
    """Return the axis on which all means lie, and of the intervals what is not far off."""
    lowest, highest = min(each.mean for each in estimates), max(each.mean for each in estimates)
    intervals = [each.interval for each in estimates if each.interval is not None]
    beyond = BEYOND * (highest - lowest) if highest > lowest else math.inf
    low = max(min([lowest, *(low for low, _ in intervals)]), lowest - beyond)
    high = min(max([highest, *(high for _, high in intervals)]), highest + beyond)
    return Axis(low, high, width)


def interval_drawn(axis: Axis, estimate: Estimate, marks: Marks) -> str:
    """Return a mean between the ends of its interval, on an axis."""
    drawn = [" "] * axis.width
    if estimate.interval is not None:
        low, high = (axis.column(end) for end in estimate.interval)
        first, last = max(low, 0), min(high, axis.width - 1)
        drawn[first : last + 1] = marks.line * (last - first + 1)
        drawn[first] = marks.low if low >= 0 else marks.less
        drawn[last] = marks.high if high < axis.width else marks.more
    drawn[axis.column(estimate.mean)] = marks.mean
    return "".join(drawn)


def batch_sizes_drawn(job: JobView, console: Console) -> Listing:
    """Return a row a batch size: its cost on the common axis, how often it was chosen, what is to note."""
    width = min(console.width, WIDE)
    is_roomy = width >= ROOMY
    marks = TYPED if console.options.ascii_only else DRAWN
    estimates = {seen.batch_size: estimate_of(job, seen) for seen in job.batch_sizes}
    known = [estimate for estimate in estimates.values() if estimate is not None]
    axis = axis_of(known, max(NARROWEST, min(WIDEST, width - (65 if is_roomy else 46)))) if known else None
    headings = ["batch size", "mean cost", _ends(axis), "share"]
    numbers = ("batch size", "mean cost", "share", "best", "trials")
    if is_roomy:
        headings += ["trials", "best"]
    made = Listing(*headings, "note", numbers=numbers, names=("note",), spare=("share", _ends(axis)))
    for seen in job.batch_sizes:
        estimate = estimates[seen.batch_size]
        cells = [
            str(seen.batch_size),
            joules(estimate.mean) if estimate else NONE,
            interval_drawn(axis, estimate, marks) if axis and estimate else "",
            percent(seen.share),
        ]
        if is_roomy:
            cells += [count(seen.num_trials), percent(seen.probability_best)]
        made.add_row(*cells, note_on(job, seen), style=_style_of(job, seen))
    return made


def _ends(axis: Axis | None) -> str:
    """Return a heading with what the ends of the axis are."""
    if axis is None:
        return ""
    low, high = joules(axis.low), joules(axis.high)
    return f"{low}{' ' * max(1, axis.width - len(low) - len(high))}{high}"


def _style_of(job: JobView, seen: BatchSizeView) -> str:
    if seen.batch_size == job.best_batch_size:
        return "bold green"
    if seen.state in {BatchSizeState.PRUNED, BatchSizeState.SET_ASIDE}:
        return "dim"
    return "cyan" if seen.batch_size == job.default_batch_size else ""


def note_on(job: JobView, seen: BatchSizeView) -> Text:
    """Return what marks a batch size."""
    notes = []
    if seen.batch_size == job.best_batch_size:
        notes.append("best")
    if seen.batch_size == job.default_batch_size:
        notes.append("default")
    if seen.state is BatchSizeState.PRUNED:
        notes.append("pruned")
    if seen.state is BatchSizeState.UNTRIED:
        notes.append("untried")
    if seen.state is BatchSizeState.SET_ASIDE:
        notes.append(f"set aside ({printable(seen.failure_reason or 'no reason given')})")
    elif seen.failures_in_a_row:
        notes.append(f"failures in a row: {seen.failures_in_a_row:.3g}")
    return Text(", ".join(notes))
