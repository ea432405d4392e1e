"""Scales keep their order and stay within their bounds; ticks are round, few and in place."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dashboard.charts.axes import ENERGY, TIME, measured, numbers, sizes
from service.dashboard.charts.scales import Linear, Log2, around, spread, steps, whole_steps

finite = st.floats(-1e100, 1e100)


@given(st.lists(finite, max_size=20))
def test_bounds_leave_room_around_all_values(values: list[float]) -> None:
    low, high = around(values)
    assert low < high
    assert all(low <= value <= high for value in values)


def test_bounds_begin_at_zero_where_values_differ_much() -> None:
    assert around([10.0, 100.0])[0] == 0
    assert around([90.0, 100.0])[0] == pytest.approx(89.4)
    assert around([-5.0, 100.0])[0] < -5


@given(st.lists(finite, min_size=2, max_size=20))
def test_a_scale_keeps_the_order_of_values_and_clamps_them(values: list[float]) -> None:
    ordered = sorted(values)
    scale = Linear(*around(ordered[1:]), 300.0, 20.0)
    places = [scale(value) for value in ordered]
    assert places == sorted(places, reverse=True)
    assert all(20 <= place <= 300 for place in places)


@given(st.integers(1, 2**30), st.integers(1, 2**30))
def test_equal_ratios_are_equally_far_apart(one: int, other: int) -> None:
    scale = Log2(1, 2**31, 0.0, 3_100.0)
    assert scale(2 * one) - scale(one) == pytest.approx(scale(2 * other) - scale(other), abs=0.2)


@given(finite, st.floats(1e-6, 1e100), st.integers(2, 12))
def test_steps_are_few_and_within_their_bounds(low: float, span: float, most: int) -> None:
    high = low + max(span, abs(low) * 1e-9)
    found = steps(low, high, most)
    assert len(found) <= most
    slack = (high - low) * 1e-6
    assert all(low - slack <= step <= high + slack for step in found)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]), (-60, 3, [-60, -40, -20, 0])],
)
def test_steps_are_round(low: float, high: float, found: list[float]) -> None:
    assert steps(low, high, 6) == pytest.approx(found)


@given(st.integers(1, 10**9), st.integers(0, 10**7), st.integers(2, 10))
def test_whole_steps_begin_at_the_first_number(low: int, more: int, most: int) -> None:
    found = whole_steps(low, low + more, most)
    assert found[0] == low
    assert found == sorted(set(found))
    assert found[-1] <= low + more
    assert len(found) <= most + 1


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(1, 10**6)), max_size=50), st.data())
def test_labels_are_apart_and_those_kept_come_first(
    places: list[tuple[float, int]], data: st.DataObject
) -> None:
    by_number = {number: place for place, number in places}
    unique = [(place, number) for number, place in by_number.items()]
    kept = data.draw(st.sampled_from([number for _, number in unique])) if unique else 0
    found = list(spread(unique, 20.0, [kept]))
    assert found == sorted(found)
    assert not unique or kept in found
    shown = sorted(by_number[number] for number in found)
    assert all(right - left >= 20 for left, right in itertools.pairwise(shown))


@pytest.mark.parametrize(
    ("units", "high", "title", "labels"),
    [
        (ENERGY, 4.2e6, "cost (MJ)", ["0", "1", "2", "3", "4"]),
        (ENERGY, 1.9e6, "cost (kJ)", ["0", "500", "1,000", "1,500"]),
        (TIME, 5_000.0, "cost (min)", ["0", "20", "40", "60", "80"]),
        (ENERGY, 0.5, "cost (J)", ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
    ],
)
def test_an_axis_is_measured_in_the_unit_that_reads_best(
    units: tuple[tuple[float, str], ...], high: float, title: str, labels: list[str]
) -> None:
    axis = measured("cost", Linear(0.0, high, 0.0, 100.0), units)
    assert axis.title == title
    assert [tick.label for tick in axis.ticks] == labels


@given(st.floats(1e-300, 1e100))
def test_ticks_of_any_size_can_be_read(high: float) -> None:
    axis = measured("cost", Linear(0.0, high, 0.0, 100.0), ENERGY)
    assert 1 <= len(axis.ticks) <= 6
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
    assert all(len(tick.label) < 12 for tick in axis.ticks)


def test_trials_are_numbered_from_the_first() -> None:
    axis = numbers("trial", Linear(0.5, 100.5, 0.0, 100.0))
    assert [tick.label for tick in axis.ticks] == ["1", "20", "40", "60", "80", "100"]


@given(st.lists(st.integers(1, 2**31 - 1), min_size=2, max_size=1_000, unique=True), st.data())
def test_batch_sizes_are_labelled_where_there_is_room(batch_sizes: list[int], data: st.DataObject) -> None:
    kept = data.draw(st.sampled_from(batch_sizes))
    axis = sizes("batch size", Log2(min(batch_sizes), max(batch_sizes), 60.0, 540.0), batch_sizes, [kept])
    assert str(kept) in [tick.label for tick in axis.ticks]
    assert not any(tick.is_minor for tick in axis.ticks if tick.label == str(kept))
    places = [tick.place for tick in axis.ticks]
    assert all(math.isfinite(place) for place in places)
    assert all(right - left >= 30 for left, right in itertools.pairwise(places))
