"""Cells put together, so that a chart has no more marks than can be told apart."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from core.records import Stage, TrialStatus, TrialType
from service.store.series import Cell, Series


def put_together(cells: Iterable[Cell], bins: int, by: Callable[[Cell], Any]) -> list[Cell]:
    """Return a cell for those of so many neighbouring bins each that ``by`` does not tell apart.

    No trial is lost: counts and costs add up, the lowest and the highest cost stay.
    What ``by`` does not look at is that of the first.
    """
    found: dict[tuple[int, Any], Cell] = {}
    for cell in cells:
        key = cell.bin // bins, by(cell)
        found[key] = _sum(found[key], cell) if key in found else replace(cell, bin=key[0])
    return list(found.values())


def thinned(cells: Sequence[Cell], most: int, by: Callable[[Cell], Any]) -> tuple[int, list[Cell]]:
    """Return how many bins are put together so that at most so many cells are left, and the cells.

    Where not even one of all bins would do, that is what is returned.
    """
    bins, last = 1, max((cell.bin for cell in cells), default=0)
    kept = put_together(cells, bins, by)
    while len(kept) > most and bins <= last:
        bins *= 2
        kept = put_together(cells, bins, by)
    return bins, kept


def results(cells: Iterable[Cell]) -> list[Cell]:
    """Return those whose trials have a result."""
    return [cell for cell in cells if cell.status is TrialStatus.SUCCEEDED]


def savings(cells: Iterable[Cell], usual: float) -> list[tuple[int, float]]:
    """Return bins, ascending, and the cost saved up to the end of each.

    As ``core.savings``: a training that converged saves what one of the ``usual`` cost takes more, and what
    any other took is lost.
    """
    gained: dict[int, float] = {}
    for cell in results(cells):
        worth = usual * cell.num_trials if cell.converged else 0.0
        gained[cell.bin] = gained.get(cell.bin, 0.0) + worth - cell.cost
    ordered = sorted(gained)
    return list(zip(ordered, accumulate(gained[number] for number in ordered), strict=True))


def shares(cells: Iterable[Cell]) -> dict[int, dict[int, float]]:
    """Return by bin, ascending, the part of its trials that each batch size has."""
    counts: dict[int, dict[int, int]] = {}
    for cell in cells:
        sizes = counts.setdefault(cell.bin, {})
        sizes[cell.batch_size] = sizes.get(cell.batch_size, 0) + cell.num_trials
    return {
        number: {size: count / sum(sizes.values()) for size, count in sorted(sizes.items())}
        for number, sizes in sorted(counts.items())
    }


class Phase(Struct, frozen=True):
    """A stretch of bins, the last one included, in one stage; ``round`` is 1 where rounds are not told."""

    first: int
    last: int
    stage: Stage
    round: int
    name: str

    @property
    def short(self) -> str:
        """Return the end of its name."""
        return self.name.rpartition(", ")[2]


def phases(series: Series, num_rounds: int) -> list[Phase]:
    """Return the stretches that trials fall into, in order.

    Rounds are told while each trial is a cell of its own: the i-th exploration of a batch size that did not
    fail is of round i. What a training has chosen, or a stand-in, belongs to the stretch it is in.
    """
    stretches: list[Phase] = []
    explored: dict[int, int] = {}
    for cell in sorted(series.cells, key=lambda cell: (cell.bin, cell.type is TrialType.MAB)):
        last = stretches[-1] if stretches else Phase(0, 0, Stage.PRUNING, 1, _name(series, num_rounds, 1))
        stage, number, name = last.stage, last.round, last.name
        if cell.type is TrialType.MAB:
            stage, number, name, explored = Stage.MAB, 1, "bandit", {}
        elif cell.type is TrialType.EXPLORATION:
            before = explored.get(cell.batch_size, 0)
            explored[cell.batch_size] = before + (cell.status is not TrialStatus.FAILED)
            is_new = stage is Stage.MAB  # the job was reset
            stage, number = Stage.PRUNING, 1 if is_new else min(num_rounds, max(number, before + 1))
            name = _name(series, num_rounds, number)
        if stretches and name == last.name:
            stretches[-1] = replace(last, last=cell.bin)
        else:
            stretches.append(Phase(cell.bin, cell.bin, stage, number, name))
    return stretches


def _name(series: Series, num_rounds: int, number: int) -> str:
    return f"pruning, round {number}" if series.width == 1 and num_rounds > 1 else "pruning"


def _sum(one: Cell, other: Cell) -> Cell:
    lows = [cost for cost in (one.lowest_cost, other.lowest_cost) if cost is not None]
    highs = [cost for cost in (one.highest_cost, other.highest_cost) if cost is not None]
    return replace(
        one,
        num_trials=one.num_trials + other.num_trials,
        cost=one.cost + other.cost,
        lowest_cost=min(lows, default=None),
        highest_cost=max(highs, default=None),
        num_drifts=one.num_drifts + other.num_drifts,
    )
