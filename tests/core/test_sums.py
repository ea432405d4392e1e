"""Running sums: an arm's posterior without its history."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.records import Posterior, Result
from core.sums import Double, Sums, posterior_of, sums_of
from tests.core.conftest import build_job

TERMS = build_job(eta_knob=0.375, mab_prior_mean=-2e4, mab_prior_precision=1e-8)


def exact(results: list[Result]) -> Posterior:
    """Fit results in exact rationals, each figure of the posterior rounded once."""
    eta, power = Fraction(TERMS.eta_knob), Fraction(TERMS.max_power)
    costs = [eta * Fraction(r.energy) + (1 - eta) * power * Fraction(r.time) for r in results]
    count, mean = len(costs), sum(costs) / len(costs)
    variance = sum((cost - mean) ** 2 for cost in costs) / count
    prior = Fraction(TERMS.mab_prior_precision)
    precision = prior + count / variance
    posterior_mean = (prior * Fraction(TERMS.mab_prior_mean) - count * mean / variance) / precision
    return Posterior(float(posterior_mean), float(precision), float(1 / variance))


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
    history = [Result(number, *measured) for number, measured in enumerate(results, 1)]
    costs = np.array([0.375 * r.energy + 0.625 * 250 * r.time for r in history])
    if np.ptp(costs) > 1e-6 * costs.mean():
        assert_close(posterior_of(TERMS, sums_of("job", 8, history)), exact(history))


@pytest.mark.parametrize("spread", [0.5, 1e-2, 1e-5, 1e-8])
def test_after_100_000_results_nothing_has_drifted(spread: float) -> None:
    noise = np.random.default_rng(1)
    times = (100 * (1 + spread * noise.uniform(-1, 1, 100_000))).tolist()
    energies = (20_000 * (1 + spread * noise.uniform(-1, 1, 100_000))).tolist()
    history = [Result(i, t, e) for i, (t, e) in enumerate(zip(times, energies, strict=True))]
    assert_close(posterior_of(TERMS, sums_of("job", 8, history)), exact(history))


def test_equal_results_give_a_precision_beyond_measure() -> None:
    sums = sums_of("job", 8, [Result(i, 0.1, 20_000.3) for i in range(300)])
    posterior = posterior_of(TERMS, sums)
    assert posterior.mean == pytest.approx(-(0.375 * 20_000.3 + 0.625 * 250 * 0.1), rel=1e-15)
    assert posterior.precision > 1e20


def test_results_of_any_admissible_size_give_numbers() -> None:
    for time, energy in ((1e97, 1e100), (1e-300, 0.0), (1e97, 0.0), (1e-300, 1e-300)):
        sums = sums_of("job", 8, [Result(1, time, energy), Result(2, time / 3, energy)])
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
    assert Sums(job_id="job", batch_size=8).plus(Result(1, 2.0, 3.0)) == Sums(
        job_id="job",
        batch_size=8,
        num_results=1,
        t=Double(2.0),
        e=Double(3.0),
        tt=Double(4.0),
        te=Double(6.0),
        ee=Double(9.0),
    )
