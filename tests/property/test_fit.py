"""The fit of policy ``zeus``: NumPy's roundings to the last bit, and how much mathematics they leave."""

import random
from fractions import Fraction
from types import ModuleType

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.kernels import posterior as kernel
from core.kernels.twins import posterior as twin
from tests.property.exact import (
    UNIT,
    magnitude,
    posterior_of,
    sample,
    summation_depth,
    variance_error,
    weighing_error,
)
from tests.strategies import ANY_REWARDS, BLOCK_EDGES, Arm, Floats, Segments, arms, few_rewards, segments


def fit_one(posterior: ModuleType, arm: Arm) -> tuple[float, float, float]:
    """Fit one arm: mean, precision, reward precision."""
    fitted = posterior.fit(
        arm.rewards,
        np.array([0, len(arm.rewards)]),
        np.array([arm.prior_mean]),
        np.array([arm.prior_precision]),
    )
    mean, precision, reward_precision = (float(column[0]) for column in fitted)
    return mean, precision, reward_precision


def assert_same_bits(drawn: Segments) -> None:
    """Hold the kernel to NumPy, signs of zero included."""
    for compiled, plain in zip(kernel.fit(*drawn), twin.fit(*drawn), strict=True):
        assert compiled.tobytes() == plain.tobytes()


@given(segments())
def test_it_is_numpys_var_mean_and_sum_to_the_last_bit(drawn: Segments) -> None:
    assert_same_bits(drawn)


def test_every_length_up_to_three_summation_blocks_and_more_rounds_as_numpy_does() -> None:
    draws = np.random.default_rng(20)
    lengths = np.array([*range(400), *BLOCK_EDGES, 4096, 4104, 20_001, 100_003])
    exponents = np.repeat(draws.uniform(-90, 90, size=len(lengths)), lengths)
    rewards = draws.normal(-1.0, 1.0, size=lengths.sum()) * 10.0**exponents
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scale = 10.0 ** draws.uniform(-90, 90, size=len(lengths))
    assert_same_bits(Segments(rewards, offsets, scale, 1 / scale))


def test_ten_thousand_arms_are_fitted_in_one_call_as_one_by_one() -> None:
    draws = np.random.default_rng(21)
    lengths = draws.integers(0, 12, size=10_000)
    rewards = -draws.lognormal(12.0, 1.0, size=lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    priors = draws.normal(size=10_000), draws.uniform(size=10_000)
    assert_same_bits(Segments(rewards, offsets, *priors))


@given(ANY_REWARDS)
def test_var_is_within_its_rounding_error_bound(rewards: Floats) -> None:
    _, variance = sample(rewards)
    error = abs(Fraction(float(np.var(rewards))) - variance)
    assert error <= variance_error(rewards, variance, magnitude(rewards))


def test_the_depth_of_summation_grows_with_the_logarithm() -> None:
    assert [summation_depth(n) for n in (1, 7, 8, 127, 128, 129, 1024)] == [1, 7, 3, 24, 18, 12, 21]
    assert max(map(summation_depth, range(1, 10_000))) == 30


@given(arms())
def test_the_reward_precision_is_within_the_same_bound(arm: Arm) -> None:
    _, variance = sample(arm.rewards)
    _, _, reward_precision = fit_one(kernel, arm)
    bound = variance_error(arm.rewards, variance, magnitude(arm.rewards))
    if reward_precision == np.inf:
        assert variance <= bound
    else:
        inverse = 1 / Fraction(reward_precision)
        assert abs(inverse - variance) <= bound + 2 * UNIT * inverse


@given(arms())
def test_where_the_variance_survives_rounding_the_posterior_is_the_closed_form(arm: Arm) -> None:
    assume(np.ptp(arm.rewards) > 0)
    exact = posterior_of(arm)
    doubt = variance_error(arm.rewards, exact.variance, exact.mean_magnitude) / exact.variance
    assume(doubt < Fraction(1, 4))
    mean, precision, _ = fit_one(kernel, arm)
    assert abs(Fraction(precision) / exact.precision - 1) <= doubt / (1 - doubt) + 4 * UNIT
    # The weight w of the sample mean moves by w (1 - w) of the precision's relative error: a quarter at most.
    moved = doubt / (1 - doubt) * abs(Fraction(arm.prior_mean) - exact.sample_mean)
    assert abs(Fraction(mean) - exact.mean) <= weighing_error(arm, exact.mean_magnitude) + moved


@given(arms())
@example(Arm(np.array([0.1] * 3), 5.0, 1.0))
def test_the_mean_lies_between_prior_mean_and_sample_mean_but_for_rounding(arm: Arm) -> None:
    mean, _, _ = fit_one(kernel, arm)
    sample_mean, _ = sample(arm.rewards)
    slack = weighing_error(arm, magnitude(arm.rewards))
    low, high = sorted([Fraction(arm.prior_mean), sample_mean])
    assert low - slack <= Fraction(mean) <= high + slack


@given(arms(), st.randoms(use_true_random=False))
def test_the_order_of_rewards_tells_within_the_bound_only(arm: Arm, shuffler: random.Random) -> None:
    shuffled = arm.rewards.tolist()
    shuffler.shuffle(shuffled)
    _, variance = sample(arm.rewards)
    bound = variance_error(arm.rewards, variance, magnitude(arm.rewards))
    (_, _, first), (_, _, second) = (
        fit_one(kernel, arm),
        fit_one(kernel, arm._replace(rewards=np.array(shuffled))),
    )
    inverses = [Fraction(0) if r == np.inf else 1 / Fraction(r) for r in (first, second)]
    assert abs(inverses[0] - inverses[1]) <= 2 * bound + 2 * UNIT * sum(inverses)


@given(arms())
def test_precision_is_infinite_only_where_numpys_variance_has_no_finite_reciprocal(arm: Arm) -> None:
    variance = float(np.var(arm.rewards))
    mean, precision, reward_precision = fit_one(kernel, arm)
    assert (reward_precision == np.inf) == (variance == 0.0)
    assert (precision == np.inf) == (variance == 0.0)
    if variance == 0.0:
        assert mean == arm.rewards.mean()


def test_three_equal_rewards_may_have_a_variance_in_numpy(posterior: ModuleType) -> None:
    rewards = np.array([0.1] * 3)
    variance = np.var(rewards)
    assert variance != 0.0
    mean, precision, reward_precision = fit_one(posterior, Arm(rewards, 0.0, 0.0))
    assert reward_precision == 1.0 / variance
    assert precision == 3 * reward_precision
    assert mean == reward_precision * rewards.sum() / precision


def test_a_variance_whose_reciprocal_overflows_counts_as_none(posterior: ModuleType) -> None:
    rewards = np.array([1e-160, 2e-160])
    assert np.var(rewards) > 0.0
    assert fit_one(posterior, Arm(rewards, 7.0, 3.0)) == (rewards.mean(), np.inf, np.inf)


@given(rewards=few_rewards())
def test_one_reward_is_an_arm_of_infinite_precision(rewards: Floats) -> None:
    assert fit_one(kernel, Arm(rewards[:1], 1.0, 1.0)) == (rewards[0], np.inf, np.inf)
