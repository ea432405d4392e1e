"""The section of kernels: each beside NumPy, a loop over arms, MABWiser, and just reading the memory."""

from typing import Any

from msgspec import to_builtins

from benchmarks.effort import Effort
from benchmarks.kernels import all_measures, measured
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.spread import spread

LEAST_ROUNDS = 3
HEADINGS = ("kernel", "unit", "batchbandit", "beside", "", "ratio")
NOTE = (
    "One core. A decision is a permutation of the arms and a draw for each; a fit reads the rewards twice "
    "and rounds as NumPy does. The rewards of 100,000 arms of 100 are 80 MB: beside np.sum, which reads them "
    "once, the ratio is the share of the core's read bandwidth."
)


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    measures = all_measures()
    results = measured(measures, max(effort.rounds, LEAST_ROUNDS))
    rows = [
        (one.name, one.unit, f"{result.value:.2f}", one.beside, f"{result.beside:.2f}", f"{result.ratio:.2f}")
        for one, result in zip(measures, results, strict=True)
    ]
    figure, [axes] = chart("Kernels", "times faster than what runs beside")
    names = [f"{one.name}\n{one.beside}" for one in measures]
    bars(axes, names, {"ratio": [spread([result.ratio]) for result in results]})
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.tick_params(axis="x", labelrotation=60, labelsize=6)
    data: Any = [
        {"what": one.name, "unit": one.unit, "beside": one.beside, "median": to_builtins(result._asdict())}
        for one, result in zip(measures, results, strict=True)
    ]
    return Page("Kernels", NOTE, [Table(HEADINGS, rows)], {"kernels": figure}, data)
