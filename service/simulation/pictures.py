"""A picture of the regret over recurrences: a chart a workload, in it a line and its band a contender."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import OpeningError
from service.simulation.contenders import Contender
from service.simulation.estimates import Moments
from service.simulation.outcomes import Measures
from service.simulation.playing import Played
from service.simulation.scenarios import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#9c9c9c", "#6cc5b0", "#efb118", "#4269d0", "#ff725c", "#9c6b4e", "#a463f2")
COLUMNS = 4
INCHES = (3.6, 2.8)
BEYOND = 4.0
"""How far a chart goes beyond the yardstick's regret: who loses more leaves it."""
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "batchbandit", "font.size": 8}
FORMATS = {".svg", ".png", ".pdf"}


def ensure_drawable(file: Path) -> None:
    """See that a picture can be drawn, before anything long is done for it.

    Raises:
        OpeningError: The file's name ends with no format, or Matplotlib is not installed.
    """
    if file.suffix.lower() not in FORMATS:
        raise OpeningError(f"{file} is no name of a picture; let it end with {', '.join(sorted(FORMATS))}")
    try:
        import_module("matplotlib")  # an extra
    except ImportError as error:
        raise OpeningError(
            "Matplotlib is not installed here; pip install 'batchbandit-server[pictures]', or leave "
            "--picture out"
        ) from error


def draw(file: Path, played: Sequence[tuple[Scenario, Measures]]) -> None:
    """Write a picture that can be drawn, in the format that the file's name ends with.

    Raises:
        OpeningError: The file cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415  (an extra)
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = -(-len(played) // COLUMNS)
    columns = -(-len(played) // lines)
    with rc_context(STYLE):
        figure = Figure(figsize=(INCHES[0] * columns, INCHES[1] * lines + 0.5), layout="constrained")
        places = figure.subplots(lines, columns, squeeze=False).flatten()
        for axes, (scenario, measures) in zip(places, played, strict=False):
            _chart(axes, scenario, measures)
        for unused in places[len(played) :]:
            unused.set_axis_off()
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=8)
        try:
            figure.savefig(file, metadata={"Date": None} if file.suffix.lower() == ".svg" else None)
        except OSError as error:
            raise OpeningError(f"{file} cannot be written ({error.strerror}); name another file") from error


def _chart(axes: "Axes", scenario: Scenario, measures: Measures) -> None:
    axes.set_title(scenario.title)
    axes.set_xlabel("recurrences")
    axes.set_ylabel("regret, in trainings at the best")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    for contender, played in measures.items():
        _line(axes, contender, played.regrets)
    tops = [_top(played) for contender, played in measures.items() if contender not in PLANS]
    if tops and max(tops) > 0:
        axes.set_ylim(top=min(axes.get_ylim()[1], BEYOND * max(tops)), bottom=min(0.0, -0.1 * max(tops)))


PLANS = {Contender.DEFAULT, Contender.ORACLE, Contender.GRID}
"""What people do by themselves, and may lose any amount with."""


def _top(played: Played) -> float:
    return float(played.regrets.mean[-1]) if played.regrets.rows else 0.0


def _line(axes: "Axes", contender: Contender, regrets: Moments) -> None:
    if not regrets.rows:
        return
    colour = COLOURS[list(Contender).index(contender) % len(COLOURS)]
    recurrences = np.arange(1, len(regrets.mean) + 1)
    mean = regrets.mean
    axes.plot(recurrences, mean, label=contender.value, color=colour, linewidth=1.2)
    half = regrets.half_width()
    if half is not None:
        axes.fill_between(recurrences, mean - half, mean + half, alpha=0.25, color=colour, linewidth=0)
