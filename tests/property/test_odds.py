"""The chance of being the best: analytic cases, quadrature, draws, and what must hold of every chance."""

import itertools
import math
from random import Random
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from core.kernels import odds as kernel
from core.kernels.twins import odds as twin
from tests.strategies import Floats, Posteriors, posteriors

ERROR = 1e-6  # what the kernel promises; its own is 1e-8
DRAWS = 200_000


def best_of(odds: ModuleType, means: Floats, deviations: Floats) -> Floats:
    """Return the chances of one job's arms; a deviation may be 0 or infinite."""
    with np.errstate(divide="ignore"):
        precisions = np.asarray(deviations, dtype=np.float64) ** -2
    chances: Floats = odds.best(np.array([0, len(means)]), np.asarray(means, dtype=np.float64), precisions)
    return chances


@given(posteriors())
def test_kernel_and_twin_agree(drawn: Posteriors) -> None:
    np.testing.assert_allclose(best_of(kernel, *drawn), best_of(twin, *drawn), rtol=0, atol=1e-7)


@given(posteriors(most=40, least_deviation=1e-150))
def test_chances_are_at_least_0_and_add_up_to_1(drawn: Posteriors) -> None:
    chances = best_of(kernel, *drawn)
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)


@given(posteriors(), st.randoms(use_true_random=False))
def test_the_order_of_arms_does_not_matter(odds: ModuleType, drawn: Posteriors, shuffling: Random) -> None:
    order = list(range(len(drawn.means)))
    shuffling.shuffle(order)
    expected = best_of(odds, *drawn)[order]
    np.testing.assert_allclose(
        best_of(odds, drawn.means[order], drawn.deviations[order]), expected, rtol=0, atol=1e-9
    )


@given(posteriors(), st.sampled_from([2.0**-40, 1024.0, 2.0**40]))
def test_the_unit_of_rewards_does_not_matter(odds: ModuleType, drawn: Posteriors, scale: float) -> None:
    scaled = best_of(odds, drawn.means * scale, drawn.deviations * scale)
    np.testing.assert_allclose(scaled, best_of(odds, *drawn), rtol=0, atol=1e-9)


@given(posteriors(), st.integers(-(10**12), 10**12))
def test_rewards_that_are_all_as_much_higher_do_not_matter(
    odds: ModuleType, drawn: Posteriors, offset: int
) -> None:
    means = np.round(drawn.means)  # what is added leaves their differences exact
    moved = best_of(odds, means + offset, drawn.deviations)
    np.testing.assert_allclose(moved, best_of(odds, means, drawn.deviations), rtol=0, atol=1e-9)


@given(posteriors(), st.integers(0, 5))
def test_a_higher_posterior_mean_never_makes_an_arm_less_likely(drawn: Posteriors, which: int) -> None:
    arm = which % len(drawn.means)
    higher = drawn.means.copy()
    higher[arm] += 0.1
    before, after = best_of(kernel, *drawn)[arm], best_of(kernel, higher, drawn.deviations)[arm]
    assert after >= before - 1e-8


@given(st.floats(-8, 8), st.floats(-140, 140), st.floats(0, 12))
def test_of_two_arms_it_is_the_chance_that_their_difference_is_positive(
    distance: float, scale: float, ratio: float
) -> None:
    first, second = 10.0**scale, 10.0 ** (scale - ratio)
    gap = distance * first
    chances = best_of(kernel, np.array([gap, 0.0]), np.array([first, second]))
    expected = stats.norm.cdf(gap / math.hypot(first, second))
    np.testing.assert_allclose(chances, [expected, 1 - expected], rtol=0, atol=1e-8)


@pytest.mark.parametrize("arms", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("mean", [0.0, -1e12])
@pytest.mark.parametrize("deviation", [0.0, 1e-3, 1.0, 1e12, math.inf])
def test_arms_that_are_alike_are_equally_likely(arms: int, mean: float, deviation: float) -> None:
    chances = best_of(kernel, np.full(arms, mean), np.full(arms, deviation))
    np.testing.assert_allclose(chances, np.full(arms, 1 / arms), rtol=1e-12)


@pytest.mark.parametrize(
    ("means", "deviations"),
    [
        ([0.0, 0.2, 0.4], [1.0, 0.5, 1.4]),
        ([-5e9, -4.5e9, -4e9, -4.2e9, -6e9], [1e9, 1e9, 0.7e9, 1.8e9, 3e9]),
        ([-1e12, -1.000000001e12], [1e3, 2e3]),
        ([0.0, 0.0, 0.5, -3.0], [1e-6, 1.0, 1e-3, 1e2]),
        ([0.0] * 60 + [3.0], [1.0] * 60 + [0.01]),
        ([0.0] * 60 + [1.0], [1.0] * 60 + [30.0]),
    ],
)
def test_quadrature_by_another_hand_agrees(
    odds: ModuleType, means: list[float], deviations: list[float]
) -> None:
    centres, scales = np.array(means), np.array(deviations)

    def chance(arm: int) -> float:
        others = np.arange(len(centres)) != arm

        def density(z: float) -> float:
            steps = (centres[arm] - centres[others] + z * scales[arm]) / scales[others]
            return float(stats.norm.pdf(z) * np.exp(stats.norm.logcdf(steps).sum()))

        edges = (centres[others] - centres[arm]) / scales[arm]
        width = scales[others] / scales[arm]
        points = np.unique(np.concatenate([edges + k * width for k in (-6, -2, 0, 2, 6)]).clip(-9, 9))
        return sum(
            integrate.quad(density, low, high, epsabs=1e-10)[0]
            for low, high in zip([-9.0, *points], [*points, 9.0], strict=True)
        )

    chances = best_of(odds, centres, scales)
    for arm in {0, 1, len(means) - 1}:
        assert chances[arm] == pytest.approx(chance(arm), abs=ERROR)


@pytest.mark.parametrize(
    ("means", "deviations"),
    [
        ([0.0, 0.5, 1.0, 0.2], [2.0, 1.0, 0.1, 5.0]),
        ([1.0, 1.0, 0.9, 0.0], [0.0, 0.0, 0.3, 1.0]),
        (list(np.linspace(-1, 1, 20)), [0.5] * 20),
    ],
)
def test_arms_are_the_best_of_draws_as_often_as_they_are_likely_to(
    odds: ModuleType, means: list[float], deviations: list[float]
) -> None:
    chances = best_of(odds, np.array(means), np.array(deviations))
    draws = np.random.default_rng(7).normal(means, deviations, size=(DRAWS, len(means)))
    is_best = draws == draws.max(axis=1, keepdims=True)
    shares = (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)
    assert abs(shares - chances).max() < 6 * math.sqrt(0.25 / DRAWS)


def test_known_means_share_the_chance_that_nothing_is_above_them(odds: ModuleType) -> None:
    chances = best_of(odds, np.array([1.0, 1.0, 0.5, 0.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    below = stats.norm.cdf(1.0)
    np.testing.assert_allclose(chances, [below / 2, below / 2, 0.0, 1 - below], rtol=0, atol=1e-8)


def test_an_arm_of_which_nothing_is_known_is_above_all_the_others_or_below(odds: ModuleType) -> None:
    chances = best_of(odds, np.array([0.0, 5.0, 0.0]), np.array([1.0, math.inf, 1.0]))
    np.testing.assert_allclose(chances, [0.25, 0.5, 0.25], atol=1e-9)
    chances = best_of(odds, np.array([0.0, 5.0, -5.0]), np.array([0.0, math.inf, math.inf]))
    np.testing.assert_allclose(chances, [0.25, 0.375, 0.375], atol=1e-9)


def test_ever_less_precision_ends_where_nothing_is_known(odds: ModuleType) -> None:
    means = np.array([0.0, 1.0, -2.0, 3.0])
    vague = best_of(odds, means, np.array([1.0, 2.0, 1e8, 1e8]))
    np.testing.assert_allclose(vague, best_of(odds, means, np.array([1.0, 2.0, np.inf, np.inf])), atol=1e-7)


def test_many_jobs_at_once_are_what_each_is_alone(odds: ModuleType) -> None:
    draws = np.random.default_rng(3)
    offsets = np.array([0, 3, 3, 4, 10])
    means, precisions = draws.normal(size=10), draws.exponential(size=10)
    together = odds.best(offsets, means, precisions)
    alone = [
        odds.best(np.array([0, end - start]), means[start:end], precisions[start:end])
        for start, end in itertools.pairwise(offsets)
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize(
    ("mean", "precision"),
    [(math.nan, 1.0), (math.inf, 1.0), (-math.inf, 1.0), (0.0, math.nan), (0.0, -1.0), (0.0, -math.inf)],
)
def test_what_is_no_posterior_is_refused(mean: float, precision: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        kernel.best(np.array([0, 2]), np.array([0.0, mean]), np.array([1.0, precision]))


@pytest.mark.parametrize("precision", [5e-324, 1e-308, 1.7e308])
def test_the_least_and_the_greatest_precision_are_no_trouble(precision: float) -> None:
    for mean in (0.0, 1e300, -1.7e308):
        chances = kernel.best(
            np.array([0, 3]), np.array([0.0, mean, 1.0]), np.array([1.0, precision, math.inf])
        )
        assert chances.sum() == pytest.approx(1.0)
