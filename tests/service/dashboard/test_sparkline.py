"""A job's latest costs as a line."""

import re

from hypothesis import given
from hypothesis import strategies as st

from service.dashboard.sparkline import HEIGHT, MARGIN, WIDTH, drawn
from service.store.sparklines import Latest, Recent

costs = st.none() | st.floats(1e-3, 1e15)


def trials_of(found: list[float | None]) -> list[Recent]:
    return [Recent(number, cost) for number, cost in enumerate(found, start=101)]


def test_where_nothing_converged_nothing_is_drawn() -> None:
    assert drawn(Latest(None, [])) is None
    assert drawn(Latest(5.0, trials_of([None, None]))) is None


def test_the_cheapest_is_lowest_and_the_last_is_rightmost() -> None:
    line = drawn(Latest(3.0, trials_of([3.0, None, 1.0, 2.0])))
    assert line is not None
    assert line.line == "M3 3L79 25L117 14"
    assert line.end == (117.0, 14.0)
    assert line.lost == "M41 23v4"
    assert line.usual == 3.0
    assert line.words == (
        "Of the last 4 trials the latest that converged cost 2.00 J; all that did cost 1.00 J to 3.00 J; "
        "the default batch size 3.00 J; 1 failed or did not converge."
    )


@given(st.none() | st.floats(1e-3, 1e15), st.lists(costs, max_size=40))
def test_all_is_within_the_picture(usual: float | None, found: list[float | None]) -> None:
    line = drawn(Latest(usual, trials_of(found)))
    assert (line is None) == all(cost is None for cost in found)
    if line is not None:
        points = [tuple(map(float, point.split())) for point in line.line[1:].split("L")]
        assert len(points) == sum(cost is not None for cost in found)
        assert all(MARGIN <= x <= WIDTH - MARGIN and MARGIN <= y <= HEIGHT - MARGIN for x, y in points)
        assert points == sorted(points, key=lambda point: point[0])
        assert len(re.findall("M", line.lost)) == sum(cost is None for cost in found)
