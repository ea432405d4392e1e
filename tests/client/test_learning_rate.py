"""Learning rates for other batch sizes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchbandit.learning_rate import scale, scaled

rates = st.floats(1e-9, 10.0)
batch_sizes = st.integers(1, 2**20)
rules = st.sampled_from(["linear", "square_root"])


def test_linear_doubles_and_square_root_quadruples() -> None:
    assert scaled(0.1, 32, 64) == pytest.approx(0.2)
    assert scaled(0.1, 32, 128, "square_root") == pytest.approx(0.2)
    assert scaled(0.1, 128, 32, rule="square_root") == pytest.approx(0.05)


@given(rates, batch_sizes, batch_sizes, rules)
def test_there_and_back_is_where_it_began(rate: float, one: int, other: int, rule: str) -> None:
    assert scaled(scaled(rate, one, other, rule), other, one, rule) == pytest.approx(rate)
    assert scaled(rate, one, one, rule) == rate


@given(rates, batch_sizes, batch_sizes, batch_sizes, rules)
def test_two_steps_are_as_one(rate: float, one: int, two: int, three: int, rule: str) -> None:
    stepwise = scaled(scaled(rate, one, two, rule), two, three, rule)
    assert stepwise == pytest.approx(scaled(rate, one, three, rule))


@given(rates, batch_sizes, batch_sizes)
def test_square_root_lies_between_no_change_and_linear(rate: float, one: int, other: int) -> None:
    ends = sorted([rate, scaled(rate, one, other)])
    root = scaled(rate, one, other, "square_root")
    assert ends[0] * (1 - 1e-12) <= root <= ends[1] * (1 + 1e-12)


def test_every_group_of_an_optimizer_is_scaled() -> None:
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1, "momentum": 0.9}, {"lr": 0.01}])
    scale(optimizer, 32, 16)
    assert optimizer.param_groups == [{"lr": 0.05, "momentum": 0.9}, {"lr": 0.005}]


@pytest.mark.parametrize("rate", [0.0, -0.1, math.inf, math.nan])
def test_a_learning_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="learning rate"):
        scaled(rate, 32, 64)


@pytest.mark.parametrize("batch_size", [0, -8, 32.0, True, "32", None])
def test_a_batch_size_that_is_none_is_refused(batch_size: object) -> None:
    with pytest.raises(ValueError, match="a batch size is"):
        scaled(0.1, batch_size, 64)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a batch size is"):
        scaled(0.1, 64, batch_size)  # type: ignore[arg-type]


def test_another_rule_is_refused_and_changes_nothing() -> None:
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    with pytest.raises(ValueError, match="cubic"):
        scale(optimizer, 32, 64, "cubic")
    assert optimizer.param_groups == [{"lr": 0.1}]
