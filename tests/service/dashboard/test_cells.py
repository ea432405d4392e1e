"""What is put together loses no trial, no cost and no extreme."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Stage, TrialType
from service.dashboard.charts.cells import phases, put_together, results, savings, shares, thinned
from service.dashboard.charts.recurrences import usual_cost
from service.store.series import Cell
from tests.service.dashboard.histories import (
    History,
    few,
    histories,
    series_of,
    specification,
    trial_of,
    view_of,
)


def _costs(cells: list[Cell]) -> list[float]:
    return [cost for cell in cells for cost in (cell.lowest_cost, cell.highest_cost) if cost is not None]


@few
@given(histories(), st.integers(1, 80))
def test_cells_that_are_put_together_add_up(history: History, bins: int) -> None:
    series = series_of(history)
    cells = put_together(series.cells, bins, lambda cell: cell.batch_size)
    assert sum(cell.num_trials for cell in cells) == len(history.trials)
    assert sum(cell.cost for cell in cells) == pytest.approx(sum(cell.cost for cell in series.cells))
    before, after = _costs(list(series.cells)), _costs(cells)
    assert (min(before, default=0), max(before, default=0)) == (min(after, default=0), max(after, default=0))


@few
@given(histories(), st.integers(1, 20), st.integers(1, 5))
def test_thinning_keeps_the_extremes_of_every_batch_size(history: History, most: int, width: int) -> None:
    series = series_of(history, width)
    bins, kept = thinned(results(series.cells), most, lambda cell: cell.batch_size)
    last = max((cell.bin for cell in results(series.cells)), default=0)
    assert len(kept) <= most or bins > last
    for size in history.terms.batch_sizes:
        before = _costs([cell for cell in series.cells if cell.batch_size == size])
        after = _costs([cell for cell in kept if cell.batch_size == size])
        assert (min(before, default=0), max(before, default=0)) == (
            min(after, default=0),
            max(after, default=0),
        )


@few
@given(histories(), st.integers(1, 7))
def test_savings_end_at_those_of_the_job(history: History, width: int) -> None:
    job = view_of(history)
    usual = usual_cost(job)
    if job.savings is None:
        assert usual is None
        return
    assert usual is not None
    saved = savings(series_of(history, width).cells, usual)
    spent = job.num_converged * usual
    assert saved[-1][1] == pytest.approx(job.savings.cost, rel=1e-9, abs=1e-9 * spent)
    assert [number for number, _ in saved] == sorted({number for number, _ in saved})


@few
@given(histories(), st.integers(1, 7))
def test_the_shares_of_a_bin_sum_to_one(history: History, width: int) -> None:
    found = shares(series_of(history, width).cells)
    assert list(found) == sorted(found)
    assert all(sum(parts.values()) == pytest.approx(1) for parts in found.values())


@few
@given(histories(), st.integers(1, 7))
def test_phases_cover_all_trials_one_after_another(history: History, width: int) -> None:
    series = series_of(history, width)
    found = phases(series, 2)
    assert {cell.bin for cell in series.cells} <= {
        number for phase in found for number in range(phase.first, phase.last + 1)
    }
    assert all(one.last <= other.first for one, other in itertools.pairwise(found))
    assert all(one.name != other.name for one, other in itertools.pairwise(found))


def test_rounds_are_told_by_how_often_a_batch_size_was_explored() -> None:
    explored = ["failed", *["converged"] * 7]
    sizes = [16, 16, 8, 32, 8, 16, 32, 32]
    types = [TrialType.EXPLORATION] * 6 + [TrialType.CONCURRENT, TrialType.MAB]
    trials = [
        trial_of(number, size, ended, type_, (1.0, 1.0))
        for number, (size, ended, type_) in enumerate(zip(sizes, explored, types, strict=True), 1)
    ]
    found = phases(series_of(History(specification([8, 16, 32], 16), tuple(trials))), 2)
    assert [(phase.first, phase.last, phase.stage, phase.name) for phase in found] == [
        (0, 3, Stage.PRUNING, "pruning, round 1"),
        (4, 6, Stage.PRUNING, "pruning, round 2"),
        (7, 7, Stage.MAB, "bandit"),
    ]


def test_a_reset_begins_another_pruning_stage() -> None:
    types = [TrialType.EXPLORATION, TrialType.MAB, TrialType.CONCURRENT, TrialType.EXPLORATION]
    trials = [trial_of(number, 8, "converged", type_, (1.0, 1.0)) for number, type_ in enumerate(types, 1)]
    found = phases(series_of(History(specification([8], 8), tuple(trials))), 1)
    assert [(phase.first, phase.last, phase.name) for phase in found] == [
        (0, 0, "pruning"),
        (1, 2, "bandit"),
        (3, 3, "pruning"),
    ]
