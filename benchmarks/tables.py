"""What a demonstration shows in the end: what was saved, and what the service has learned."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import NormalDist
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.recurring import Story
from service.simulation.workloads import Spending
from service.views.figures import NONE, joules, percent, seconds
from service.views.shapes import JobView

HALF_WIDTH = NormalDist().inv_cdf(0.975)
"""Of a central 95 % interval, in standard deviations."""


class Arm(NamedTuple):
    """A batch size as the service sees it: joules, and the standard deviation of the mean's posterior."""

    batch_size: int
    observations: int
    mean_cost: float
    deviation: float


def arms_of(job: JobView) -> list[Arm]:
    """Return a job's arms, ascending by batch size."""
    return [
        Arm(size.batch_size, size.num_observations, size.mean_cost, deviation_of(size.interval))
        for size in job.batch_sizes
        if size.mean_cost is not None
    ]


def deviation_of(interval: tuple[float, float] | None) -> float:
    """Return the standard deviation of a Gaussian with a central 95 % interval, infinite without one."""
    return math.inf if interval is None else (interval[1] - interval[0]) / 2 / HALF_WIDTH


def savings_table(stories: Iterable[Story], eta: float, last: int) -> Table:
    """Compare what each workload took with always taking its default batch size."""
    table = Table(title="Spent, against always using the default batch size", title_justify="left")
    table.add_column("workload", no_wrap=True)
    table.add_column("")
    for heading in ("with batchbandit", "with the default", "saved", f"in the last {last}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for story in stories:
        for row in _savings_rows(story, eta, last):
            table.add_row(*row)
        table.add_section()
    return table


def _savings_rows(story: Story, eta: float, last: int) -> Iterator[tuple[str | Text, ...]]:
    """Return a workload's rows: energy, time and cost, and beside them what was chosen."""
    workload = story.workload
    recurrences = len(story.recurrences)
    choices = Counter(attempt.batch_size for attempt in story.attempts(last))
    chosen, times = choices.most_common(1)[0]

    def measures(spent: Spending) -> tuple[float, float, float]:
        return spent.energy, spent.time, workload.cost(spent, eta)

    for note, name, text, spent, lately, usual in zip(
        (
            Text(workload.title, style="bold"),
            f"chose {chosen} in {times} of {choices.total()}",
            f"default {workload.default_batch_size}",
        ),
        ("energy", "time", "cost"),
        (joules, seconds, joules),
        measures(story.spent(recurrences)),
        measures(story.spent(last)),
        measures(workload.expected(workload.default_batch_size)),
        strict=True,
    ):
        yield (
            note,
            name,
            text(spent),
            text(usual * recurrences) if math.isfinite(usual) else "never converges",
            _saved(spent, usual * recurrences),
            _saved(lately, usual * last),
        )


def _saved(spent: float, usual: float) -> Text:
    """Return what was saved of what is usual, in percent; nothing where the usual never gets there."""
    if not math.isfinite(usual):
        return Text(NONE)
    share = 1 - spent / usual
    return Text(percent(share), style="green" if share > 0 else "red")


def arms_table(story: Story, arms: list[Arm], eta: float) -> Table | Text:
    """Show what the service has learned about a workload."""
    workload = story.workload
    if not arms:
        return Text.assemble((workload.title, "table.title"), "\n still exploring: no arms yet")
    choices = Counter(attempt.batch_size for attempt in story.attempts(len(story.recurrences)))
    notes = {workload.default_batch_size: "default", workload.best_batch_size(eta): "best"}
    table = Table(
        title=workload.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
    )
    for heading in ("batch", "obs", "mean cost", "sd", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for arm in arms:
        table.add_row(
            str(arm.batch_size),
            str(arm.observations),
            joules(arm.mean_cost),
            joules(arm.deviation) if math.isfinite(arm.deviation) else NONE,
            percent(choices[arm.batch_size] / choices.total()),
            notes.get(arm.batch_size, ""),
        )
    return table
