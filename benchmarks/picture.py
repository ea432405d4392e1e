"""Pictures: bars and curves in one style, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.spread import Interval, Spread

__all__ = ["Figure", "bars", "chart", "curves", "save"]

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e", "#97bbf5")
INCHES = (8.0, 3.6)
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "batchbandit", "font.size": 9}
GROUP = 0.8
"""Width of a group of bars where groups are 1 apart."""


def chart(title: str, y: str, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty picture and its axes, side by side."""
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(title)
    axes: list[Axes] = list(figure.subplots(1, columns, squeeze=False)[0])
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", alpha=0.3)
        each.set_axisbelow(True)
    axes[0].set_ylabel(y)
    return figure, axes


def bars(axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[Spread]]) -> None:
    """Draw medians as bars, a colour a series, with the bounds of the rounds as whiskers."""
    width = GROUP / len(series)
    for number, (name, spreads) in enumerate(series.items()):
        places = [place - GROUP / 2 + width * (number + 0.5) for place in range(len(groups))]
        whiskers = [[s.median - s.minimum for s in spreads], [s.maximum - s.median for s in spreads]]
        axes.bar(
            places,
            [s.median for s in spreads],
            width,
            label=name,
            color=COLOURS[number % len(COLOURS)],
            yerr=whiskers,
            error_kw={"elinewidth": 0.8, "capsize": 2},
        )
    axes.set_xticks(range(len(groups)), list(groups))
    axes.legend(frameon=False)


def curves(axes: Axes, places: Sequence[float], series: Mapping[str, Sequence[Interval | Spread]]) -> None:
    """Draw medians as curves, a colour a series, with their bounds as bands."""
    for number, (name, figures) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(places, [f.median for f in figures], marker="o", markersize=3, label=name, color=colour)
        low = [f.low if isinstance(f, Interval) else f.minimum for f in figures]
        high = [f.high if isinstance(f, Interval) else f.maximum for f in figures]
        axes.fill_between(places, low, high, alpha=0.2, color=colour, linewidth=0)
    axes.legend(frameon=False)


def save(figure: Figure, file: Path) -> None:
    """Write a picture; the same picture gives the same bytes."""
    with rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
