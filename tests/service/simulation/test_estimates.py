"""Means and ratios over seeds, and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.simulation.estimates import mean, moments, pooled, quantile, ratio

rows = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.floats(-1e3, 1e3))


@given(st.lists(rows, min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts: list[np.ndarray[tuple[int, int], np.dtype]]) -> None:
    whole, put_together = moments(np.concatenate(parts)), pooled([moments(part) for part in parts])
    assert put_together.rows == whole.rows
    assert put_together.mean == pytest.approx(whole.mean, abs=1e-9)
    assert put_together.squares == pytest.approx(whole.squares, abs=1e-6)


@pytest.mark.parametrize(
    ("freedom", "tabulated"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_students_t_is_as_tabulated(freedom: int, tabulated: float) -> None:
    assert quantile(freedom) == pytest.approx(tabulated, rel=0.002)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_intervals_hold_what_is_true_as_often_as_they_say(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    held = 0
    for drawn in rng.normal(3.0, 2.0, (2_000, seeds)):
        told = mean(drawn)
        assert told is not None
        assert told.low is not None
        assert told.high is not None
        held += told.low <= 3.0 <= told.high
    assert held / 2_000 == pytest.approx(0.95, abs=0.015)


def test_what_both_have_in_common_cancels_in_their_ratio() -> None:
    common = np.random.default_rng(0).normal(10.0, 3.0, 50)
    told = ratio(0.5 * common, common)
    assert told is not None
    assert (told.value, told.low, told.high) == pytest.approx((0.5, 0.5, 0.5))
    assert ratio(common, common - 20) is None


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    told = mean(np.array([2.0]))
    assert told is not None
    assert (told.value, told.low, told.high) == (2.0, None, None)
    assert mean(np.empty(0)) is None
