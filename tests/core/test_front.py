"""The Pareto front and the choices over eta, against every pair and every eta."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cost import cost_of
from core.front import Point, Segment, choices_over_eta, pareto_front

quantities = st.integers(0, 8).map(float) | st.floats(1e-3, 1e12)
points = st.lists(
    st.builds(Point, batch_size=st.integers(1, 4096), time=quantities, energy=quantities),
    max_size=12,
    unique_by=lambda point: point.batch_size,
)
powers = st.sampled_from([0.5, 250.0, 1e6])


def cost(point: Point, eta: float, max_power: float) -> float:
    """Return what a point costs."""
    terms: Any = SimpleNamespace(eta_knob=eta, max_power=max_power)
    return cost_of(terms, point.time, point.energy)


def beats(one: Point, other: Point) -> bool:
    """Tell whether a point is no worse than another, and better in time or energy."""
    no_worse = one.time <= other.time and one.energy <= other.energy
    return no_worse and (one.time, one.energy) != (other.time, other.energy)


@given(points)
def test_on_the_front_are_those_that_no_other_beats(points: list[Point]) -> None:
    front = pareto_front(points)
    assert set(front) == {point for point in points if not any(beats(other, point) for other in points)}
    assert list(front) == sorted(front, key=lambda point: (point.time, -point.energy, point.batch_size))


@settings(deadline=None)
@given(points.filter(bool), powers, st.floats(0, 1))
def test_each_eta_is_given_the_batch_size_that_costs_least(
    points: list[Point], max_power: float, eta: float
) -> None:
    by_size = {point.batch_size: point for point in points}
    segments = choices_over_eta(points, max_power)
    middles = [(segment.eta_from + segment.eta_to) / 2 for segment in segments]
    edges = [edge for segment in segments for edge in (segment.eta_from, segment.eta_to)]
    rounding = 1e-12 * max(cost(point, at, max_power) for point in points for at in (0, 1))  # of eta
    for at in (eta, *middles, *edges):
        least = min(cost(point, at, max_power) for point in points)
        for segment in segments:
            if segment.eta_from <= at <= segment.eta_to:
                chosen = cost(by_size[segment.batch_size], at, max_power)
                assert chosen <= least + rounding


@given(points.filter(bool), powers)
def test_the_ranges_follow_each_other_from_0_to_1_and_more_eta_takes_less_energy(
    points: list[Point], max_power: float
) -> None:
    segments = choices_over_eta(points, max_power)
    assert (segments[0].eta_from, segments[-1].eta_to) == (0, 1)
    assert all(segment.eta_from < segment.eta_to for segment in segments)
    by_size = {point.batch_size: point for point in points}
    for one, following in itertools.pairwise(segments):
        assert one.eta_to == following.eta_from
        assert by_size[following.batch_size].energy < by_size[one.batch_size].energy
        assert by_size[following.batch_size].time > by_size[one.batch_size].time
    assert {segment.batch_size for segment in segments} <= {
        point.batch_size for point in pareto_front(points)
    }


def test_two_batch_sizes_change_places_where_they_cost_the_same() -> None:
    fast, frugal = Point(64, time=10.0, energy=3000.0), Point(32, time=12.0, energy=2500.0)
    assert choices_over_eta([frugal, fast], 250.0) == (Segment(0.0, 0.5, 64), Segment(0.5, 1.0, 32))


def test_a_batch_size_on_the_front_that_no_eta_chooses_has_no_range() -> None:
    points = [Point(1, 1.0, 10.0), Point(2, 6.0, 6.0), Point(3, 10.0, 1.0)]
    assert pareto_front(points) == tuple(points)
    assert [segment.batch_size for segment in choices_over_eta(points, 1.0)] == [1, 3]


def test_three_that_cost_the_same_at_one_eta_make_two_ranges() -> None:
    points = [Point(1, 1.0, 3.0), Point(2, 2.0, 2.0), Point(3, 3.0, 1.0)]
    assert choices_over_eta(points, 1.0) == (Segment(0.0, 0.5, 1), Segment(0.5, 1.0, 3))


@pytest.mark.parametrize("sizes", [[8, 16], [16, 8]])
def test_of_equals_the_smallest_batch_size_is_chosen_and_all_are_on_the_front(sizes: list[int]) -> None:
    points = [Point(size, 1.0, 1.0) for size in sizes]
    assert [point.batch_size for point in pareto_front(points)] == [8, 16]
    assert choices_over_eta(points, 100.0) == (Segment(0.0, 1.0, 8),)


def test_without_points_there_is_nothing_to_choose() -> None:
    assert pareto_front([]) == ()
    assert choices_over_eta([], 100.0) == ()
