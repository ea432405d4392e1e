"""Means and ratios over seeds, and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.simulation.estimates import mean, moments, pooled, ratio

rows = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.floats(-1e3, 1e3))


@given(st.lists(rows, min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts: list[np.ndarray[tuple[int, int], np.dtype]]) -> None:
    whole, put_together = moments(np.concatenate(parts)), pooled([moments(part) for part in parts])
    assert put_together.rows == whole.rows
    assert put_together.mean == pytest.approx(whole.mean, abs=1e-9)
    assert put_together.squares == pytest.approx(whole.squares, abs=1e-6)


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
