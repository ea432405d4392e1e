"""Running sums: an arm's posterior without its history."""

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.history import History
from core.records import Posterior
from core.sums import SUMMED, Double, Sums, deviation, posterior_of
from tests.core.conftest import build_job

TERMS = build_job(eta_knob=0.375, mab_prior_mean=-2e4, mab_prior_precision=1e-8)


UNITS = 2**1074
"""In 1: every float is a whole number of the smallest."""


def numbered(measured: Iterable[tuple[float, float]]) -> History:
    """Return measurements, seconds and joules, as results of trials 1, 2, ..."""
    return np.array([(number, *each) for number, each in enumerate(measured, 1)], dtype=np.float64)


def sums_over(history: History) -> Sums:
    """Return the sums over results."""
    return Sums(job_id="job", batch_size=8).plus(history)


def exact(history: History) -> Posterior:
    """Fit results without rounding, each figure of the posterior rounded once."""
    eta, power = Fraction(TERMS.eta_knob), Fraction(TERMS.max_power)
    weights = eta / UNITS, (1 - eta) * power / UNITS
    # In whole numbers, which are exact as rationals are, and added up six times as fast.
    finest = math.lcm(*(weight.denominator for weight in weights))
    joules, seconds = (int(weight * finest) for weight in weights)
    costs = [joules * whole(e) + seconds * whole(t) for _, t, e in history.tolist()]
    count, total, squares = len(costs), sum(costs), sum(cost * cost for cost in costs)
    mean = Fraction(total, count * finest)
    variance = Fraction(count * squares - total * total, (count * finest) ** 2)
    prior = Fraction(TERMS.mab_prior_precision)
    precision = prior + count / variance
    posterior_mean = (prior * Fraction(TERMS.mab_prior_mean) - count * mean / variance) / precision
    return Posterior(float(posterior_mean), float(precision), float(1 / variance))


def whole(number: float) -> int:
    """Return how many units a float is."""
    numerator, denominator = number.as_integer_ratio()
    return numerator * (UNITS // denominator)


def assert_close(got: Posterior, want: Posterior) -> None:
    """Compare two posteriors, within 1e-12 relative."""
    assert got.mean == pytest.approx(want.mean, rel=1e-12)
    assert got.precision == pytest.approx(want.precision, rel=1e-12)
    assert got.reward_precision == pytest.approx(want.reward_precision, rel=1e-12)


@given(
    results=st.lists(st.tuples(st.floats(1e-3, 1e7), st.floats(0, 1e9)), min_size=2, max_size=60, unique=True)
)
@settings(deadline=None)
def test_the_posterior_from_sums_is_that_of_all_results(results: list[tuple[float, float]]) -> None:
    history = numbered(results)
    costs = 0.375 * history[:, 2] + 0.625 * 250 * history[:, 1]
    if np.ptp(costs) > 1e-6 * costs.mean():
        assert_close(posterior_of(TERMS, sums_over(history)), exact(history))


@pytest.mark.parametrize("spread", [0.5, 1e-2, 1e-5, 1e-8])
def test_after_100_000_results_nothing_has_drifted(spread: float) -> None:
    noise = np.random.default_rng(1)
    times = 100 * (1 + spread * noise.uniform(-1, 1, 100_000))
    energies = 20_000 * (1 + spread * noise.uniform(-1, 1, 100_000))
    history = np.column_stack([np.arange(100_000), times, energies])
    assert_close(posterior_of(TERMS, sums_over(history)), exact(history))


def test_equal_results_give_a_precision_beyond_measure() -> None:
    sums = sums_over(numbered([(0.1, 20_000.3)] * 300))
    posterior = posterior_of(TERMS, sums)
    assert posterior.mean == pytest.approx(-(0.375 * 20_000.3 + 0.625 * 250 * 0.1), rel=1e-15)
    assert posterior.precision > 1e20


def test_results_of_any_admissible_size_give_numbers() -> None:
    for time, energy in ((1e97, 1e100), (1e-300, 0.0), (1e97, 0.0), (1e-300, 1e-300)):
        sums = sums_over(numbered([(time, energy), (time / 3, energy)]))
        posterior = posterior_of(TERMS, sums)
        assert not np.isnan([posterior.mean, posterior.precision, posterior.reward_precision]).any()


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
@settings(deadline=None)
def test_a_double_holds_twice_the_digits(a: float, b: float) -> None:
    total, product = Double(a) + Double(b), Double(a) * Double(b)
    assert Fraction(total.high) + Fraction(total.low) == Fraction(a) + Fraction(b)
    if abs(product.high) > 1e-250:
        assert Fraction(product.high) + Fraction(product.low) == Fraction(a) * Fraction(b)


def test_sums_know_whose_they_are() -> None:
    assert sums_over(numbered([(2.0, 3.0)])) == Sums(
        job_id="job",
        batch_size=8,
        num_results=1,
        t=Double(2.0),
        e=Double(3.0),
        tt=Double(4.0),
        te=Double(6.0),
        ee=Double(9.0),
    )


def test_sums_stay_within_a_hair_of_those_without_rounding() -> None:
    times = np.random.default_rng(5).lognormal(5, 3, 3_000)
    history = np.column_stack([np.arange(1, 3_001), times, 1e7 * times[::-1]])
    sums = Sums("job", 8)
    for row in history:
        sums = sums.plus(row[np.newaxis])
    assert deviation(sums, history) < 1e-26
    assert deviation(Sums("job", 8), history[:0]) == 0


@pytest.mark.parametrize("name", SUMMED)
def test_a_sum_that_is_not_the_histories_deviates(name: str) -> None:
    history = np.array([[1, 90.0, 7e6], [2, 100.1, 8e6], [3, 110.7, 9e6]])
    sums = Sums("job", 8).plus(history)
    kept: Double = getattr(sums, name)
    for other in (Double(kept.high, kept.low + 1e-20 * kept.high), Double(math.nan), Double(math.inf)):
        assert deviation(replace(sums, **{name: other}), history) > 1e-22
