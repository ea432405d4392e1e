"""Intervals on a common axis: whatever the costs are, every mean is where it belongs."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.commands.drawing import DRAWN, Estimate, axis_of, interval_drawn


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    mean = draw(st.floats(-1e12, 1e12))
    interval = None
    if draw(st.booleans()):
        below, above = (draw(st.floats(0, 1e15)) for _ in range(2))
        interval = (mean - below, mean + above)
    return Estimate(mean, interval)


@given(st.lists(estimates(), min_size=1, max_size=8), st.integers(12, 80))
def test_every_mean_is_drawn_in_the_order_of_the_costs(drawn: list[Estimate], width: int) -> None:
    axis = axis_of(drawn, width)
    rows = [interval_drawn(axis, estimate, DRAWN) for estimate in sorted(drawn, key=lambda one: one.mean)]
    assert {len(row) for row in rows} == {width}
    assert all(row.count(DRAWN.mean) == 1 for row in rows)
    assert all(one.index(DRAWN.mean) <= other.index(DRAWN.mean) for one, other in pairwise(rows))


def test_an_end_that_is_far_off_is_pointed_at() -> None:
    known = [Estimate(10.0, (9.0, 11.0)), Estimate(12.0, (11.5, 12.5)), Estimate(11.0, (-1000.0, 1000.0))]
    axis = axis_of(known, 40)
    assert (axis.low, axis.high) == (7.0, 15.0)
    first, _, last = (interval_drawn(axis, estimate, DRAWN) for estimate in known)
    assert first.strip() == "├────●────┤"
    assert (last[0], last[-1]) == (DRAWN.less, DRAWN.more)


def test_costs_that_are_all_the_same_stand_in_the_middle() -> None:
    axis = axis_of([Estimate(5.0, None)] * 2, 21)
    assert interval_drawn(axis, Estimate(5.0, None), DRAWN).index(DRAWN.mean) == 10
