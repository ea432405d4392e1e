"""The compensated fit: the closed form, and everything that follows from it."""

import math
import random
import statistics
from fractions import Fraction
from types import ModuleType

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.kernels import posterior as kernel
from core.kernels.twins import posterior as twin
from tests.property.exact import COMPENSATED_ULPS, compensated_mean_error, sample
from tests.strategies import Arm, Floats, arms, few_rewards, prior_mean, prior_precision, reward

Fitted = tuple[float, float, float]


def fit_one(posterior: ModuleType, arm: Arm) -> Fitted:
    """Fit one arm: mean, precision, reward precision."""
    fitted = posterior.fit_compensated(
        arm.rewards,
        np.array([0, len(arm.rewards)]),
        np.array([arm.prior_mean]),
        np.array([arm.prior_precision]),
    )
    mean, precision, reward_precision = (float(column[0]) for column in fitted)
    return mean, precision, reward_precision


def close(value: float, exact: float, ulps: int = COMPENSATED_ULPS) -> bool:
    """Tell whether two precisions are equal but for the promised error, or both infinite."""
    return value == exact or abs(value - exact) <= ulps * math.ulp(exact)


@given(arms())
@example(Arm(np.array([1e100, 1e50, 1e-100, -1e100, -1e50]), 0.0, 0.0))
@example(Arm(np.linspace(1e12, 1e12 + 1e-3, 50), -1e12, 1e3))
def test_it_is_the_closed_form_in_exact_rationals(arm: Arm) -> None:
    mean, precision, reward_precision = fit_one(kernel, arm)
    exact_mean, exact_precision, exact_reward_precision = fit_one(twin, arm)
    sample_mean, _ = sample(arm.rewards)
    assert close(precision, exact_precision)
    assert close(reward_precision, exact_reward_precision)
    assert abs(mean - exact_mean) <= compensated_mean_error(arm, float(sample_mean))


@given(arms(), st.randoms(use_true_random=False))
def test_the_order_of_rewards_does_not_tell(arm: Arm, shuffler: random.Random) -> None:
    shuffled = arm.rewards.tolist()
    shuffler.shuffle(shuffled)
    first = fit_one(kernel, arm)
    second = fit_one(kernel, arm._replace(rewards=np.array(shuffled)))
    sample_mean, _ = sample(arm.rewards)
    assert close(second[1], first[1], 2 * COMPENSATED_ULPS + 1)
    assert close(second[2], first[2], 2 * COMPENSATED_ULPS + 1)
    assert abs(first[0] - second[0]) <= 2 * compensated_mean_error(arm, float(sample_mean))


@given(arms(few_rewards()), st.integers(-60, 60))
def test_a_power_of_two_scales_it_exactly(posterior: ModuleType, arm: Arm, exponent: int) -> None:
    scale = 2.0**exponent
    scaled = Arm(arm.rewards * scale, arm.prior_mean * scale, arm.prior_precision / scale / scale)
    # Where a tiny prior underflows, it is not the scaled prior any more.
    assume(scaled.prior_mean / scale == arm.prior_mean)
    assume(scaled.prior_precision * scale * scale == arm.prior_precision)
    for fit in (fit_one, fit_one_as_numpy):
        mean, precision, reward_precision = fit(posterior, arm)
        expected = mean * scale, precision / scale / scale, reward_precision / scale / scale
        assume(expected[0] / scale == mean)
        assert fit(posterior, scaled) == expected


def fit_one_as_numpy(posterior: ModuleType, arm: Arm) -> Fitted:
    """Fit one arm with ``fit``, which scales as exactly."""
    offsets = np.array([0, len(arm.rewards)])
    priors = np.array([arm.prior_mean]), np.array([arm.prior_precision])
    mean, precision, reward_precision = (
        float(column[0]) for column in posterior.fit(arm.rewards, offsets, *priors)
    )
    return mean, precision, reward_precision


@given(
    st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=40),
    st.integers(-(2**52), 2**52),
    st.floats(0.0, 1e6),
)
def test_a_shift_moves_the_mean_and_leaves_the_precisions(
    rewards: list[int], shift: int, precision_before: float
) -> None:
    arm = Arm(np.array(rewards, dtype=np.float64), float(rewards[0]), precision_before)
    moved = Arm(arm.rewards + shift, arm.prior_mean + shift, precision_before)
    before, after = fit_one(kernel, arm), fit_one(kernel, moved)
    assert close(after[1], before[1], 2 * COMPENSATED_ULPS + 1)
    assert close(after[2], before[2], 2 * COMPENSATED_ULPS + 1)
    largest = float(np.abs(moved.rewards).max() + np.abs(arm.rewards).max())
    assert abs(Fraction(after[0]) - Fraction(before[0]) - shift) <= 2 * COMPENSATED_ULPS * math.ulp(largest)


@given(arms(few_rewards()), st.integers(2, 5))
def test_precision_grows_as_the_same_rewards_are_seen_again(
    posterior: ModuleType, arm: Arm, times: int
) -> None:
    _, once, reward_precision = fit_one(posterior, arm)
    _, again, same = fit_one(posterior, arm._replace(rewards=np.tile(arm.rewards, times)))
    assert close(same, reward_precision, 2 * COMPENSATED_ULPS + 1)
    # A prior that outweighs the rewards beyond the last place hides the growth.
    gain = (times - 1) * len(arm.rewards) * reward_precision
    assert again > once or once == np.inf or gain <= 3 * COMPENSATED_ULPS * math.ulp(once)


@given(arms(few_rewards()))
def test_precision_grows_with_an_observation_at_the_mean(posterior: ModuleType, arm: Arm) -> None:
    sample_mean, _, _ = fit_one(posterior, arm._replace(prior_precision=0.0))
    assume(sample_mean == 0.0 or abs(sample_mean) >= 1e-100)
    _, before, reward_precision = fit_one(posterior, arm)
    _, after, _ = fit_one(posterior, arm._replace(rewards=np.append(arm.rewards, sample_mean)))
    assert after > before or before == np.inf or reward_precision <= 3 * COMPENSATED_ULPS * math.ulp(before)


@given(arms())
def test_precision_is_at_least_the_priors_and_the_rewards(posterior: ModuleType, arm: Arm) -> None:
    _, precision, reward_precision = fit_one(posterior, arm)
    assert precision >= arm.prior_precision
    assert precision >= reward_precision


@given(arms())
def test_the_mean_lies_between_prior_mean_and_sample_mean(posterior: ModuleType, arm: Arm) -> None:
    mean, _, _ = fit_one(posterior, arm)
    sample_mean, _, _ = fit_one(posterior, arm._replace(prior_precision=0.0))
    low, high = sorted([arm.prior_mean, sample_mean])
    # With infinite precision the prior has no say.
    assert low <= mean <= high


@given(arms())
def test_without_prior_precision_the_mean_is_the_sample_mean(posterior: ModuleType, arm: Arm) -> None:
    mean, precision, reward_precision = fit_one(posterior, arm._replace(prior_precision=0.0))
    sample_mean, _ = sample(arm.rewards)
    assert abs(Fraction(mean) - sample_mean) <= Fraction(
        compensated_mean_error(arm._replace(prior_mean=0.0), float(sample_mean))
    )
    assert close(precision, len(arm.rewards) * reward_precision, 2)


@given(reward(), st.integers(1, 40), prior_mean(), prior_precision())
@example(0.1, 3, 0.0, 0.0)
def test_equal_rewards_give_infinite_precision_and_themselves_as_the_mean(
    posterior: ModuleType, value: float, times: int, mean: float, precision: float
) -> None:
    arm = Arm(np.full(times, value), mean, precision)
    assert fit_one(posterior, arm) == (value, np.inf, np.inf)


@given(arms())
def test_precision_is_infinite_only_where_all_rewards_are_equal(posterior: ModuleType, arm: Arm) -> None:
    _, precision, reward_precision = fit_one(posterior, arm)
    assert (precision == np.inf) == (reward_precision == np.inf) == (np.ptp(arm.rewards) == 0)


def test_a_large_common_cost_does_not_drown_the_differences(posterior: ModuleType) -> None:
    rewards = -(1e12 + np.random.default_rng(22).uniform(-1e-3, 1e-3, size=200))
    mean, _, reward_precision = fit_one(posterior, Arm(rewards, 0.0, 0.0))
    assert close(reward_precision, 1 / statistics.pvariance(rewards.tolist()), COMPENSATED_ULPS + 1)
    assert abs(mean - statistics.fmean(rewards.tolist())) <= COMPENSATED_ULPS * math.ulp(1e12)
    # What compensation is for: the plain formula of sums of squares has nothing left here.
    naive = np.mean(rewards**2) - np.mean(rewards) ** 2
    assert abs(naive * reward_precision - 1) > 1


@given(arms())
@example(Arm(np.array([1e100, -1e100]), 1e100, 1e100))
@example(Arm(np.array([1e-100, -1e-100]), -1e100, 1e100))
@example(Arm(np.array([1e-100, 1e-100 * (1 + 2.0**-52)]), 1e100, 5e-324))
@example(Arm(np.array([0.0, 0.0, -0.0]), 5e-324, 0.0))
def test_no_admissible_input_gives_nan(posterior: ModuleType, arm: Arm) -> None:
    assert not any(map(math.isnan, fit_one(posterior, arm)))
    assert not any(map(math.isnan, fit_one_as_numpy(posterior, arm)))


@given(st.lists(st.tuples(prior_mean(), prior_precision()), max_size=5))
def test_an_arm_without_rewards_keeps_its_prior(
    posterior: ModuleType, priors: list[tuple[float, float]]
) -> None:
    means, precisions = np.array(priors, dtype=np.float64).reshape(-1, 2).T.copy()
    for fit in (posterior.fit, posterior.fit_compensated):
        fitted = fit(np.empty(0), np.zeros(len(priors) + 1, dtype=np.int64), means, precisions)
        np.testing.assert_array_equal(fitted, [means, precisions, np.zeros(len(priors))])


@given(st.lists(few_rewards(), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_arms_do_not_touch_each_other(
    posterior: ModuleType, rewards: list[Floats], chance: random.Random
) -> None:
    drawn = [Arm(seen, chance.gauss(), chance.random()) for seen in rewards]
    together = posterior.fit_compensated(
        np.concatenate(rewards),
        np.cumsum([0, *map(len, rewards)]),
        np.array([arm.prior_mean for arm in drawn]),
        np.array([arm.prior_precision for arm in drawn]),
    )
    assert list(zip(*together, strict=True)) == [fit_one(posterior, arm) for arm in drawn]


def test_ten_thousand_arms_are_the_closed_form_each() -> None:
    draws = np.random.default_rng(23)
    lengths = draws.integers(0, 6, size=10_000)
    rewards = -draws.lognormal(12.0, 1.0, size=lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    means, precisions = -draws.lognormal(12.0, 1.0, size=10_000), 10.0 ** draws.uniform(-14, -8, size=10_000)
    fitted = kernel.fit_compensated(rewards, offsets, means, precisions)
    exact = twin.fit_compensated(rewards, offsets, means, precisions)
    for value, expected in zip(fitted[1:], exact[1:], strict=True):
        np.testing.assert_allclose(value, expected, rtol=COMPENSATED_ULPS * 2.0**-52, atol=0)
    np.testing.assert_allclose(fitted[0], exact[0], rtol=0, atol=COMPENSATED_ULPS * math.ulp(1e8))
