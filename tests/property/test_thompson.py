"""Thompson sampling: the chances are the analytic ones, the draws are NumPy's."""

import itertools
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats

from core.kernels import posterior as posterior_kernel
from core.kernels import thompson as kernel
from core.kernels.twins import thompson as twin
from core.kernels.twins.stream import generator, row_of
from tests.strategies import Floats, prior_mean, prior_precision, reward

Integers = NDArray[np.int64]
States = NDArray[np.uint64]

DECISIONS = 20_000
# At the fixed seeds below the statistic is what it is; a wrong chance gives one far beyond this.
LEAST_P_VALUE = 1e-3


def streams(seed: int, jobs: int) -> States:
    """Return the states of so many independent streams."""
    words = np.random.default_rng(seed).integers(2**64, size=(jobs, 6), dtype=np.uint64)
    words[:, 3] |= np.uint64(1)
    words[:, 4:] = 0
    return words


def choose_often(
    thompson: ModuleType, means: list[float], precisions: list[float], seen: list[int], explorations: int = 0
) -> Integers:
    """Count how often each arm of a job is chosen over independent streams."""
    arms = len(means)
    choices, _, _ = thompson.choose(
        np.arange(DECISIONS + 1) * arms,
        np.tile(means, DECISIONS),
        np.tile(precisions, DECISIONS),
        np.tile(seen, DECISIONS),
        np.full(DECISIONS, explorations),
        streams(30, DECISIONS),
    )
    return np.bincount(choices, minlength=arms)


def chance_of_being_best(arm: int, means: list[float], precisions: list[float]) -> float:
    """Integrate over the arm's sample the chance that every other one lies below it."""
    scales = 1 / np.sqrt(precisions)
    others = [other for other in range(len(means)) if other != arm]

    def density(sample: float) -> float:
        below = stats.norm.cdf(sample, np.array(means)[others], scales[others])
        return float(stats.norm.pdf(sample, means[arm], scales[arm]) * np.prod(below))

    low, high = means[arm] - 12 * scales[arm], means[arm] + 12 * scales[arm]
    return float(integrate.quad(density, low, high, points=means, limit=200)[0])


@pytest.mark.parametrize(
    ("means", "precisions"),
    [([0.0, 0.0], [1.0, 1.0]), ([-1e6, -1.1e6], [1e-10, 4e-11]), ([1.0, 3.0], [0.25, 100.0])],
)
def test_one_of_two_arms_is_chosen_as_often_as_its_difference_is_positive(
    thompson: ModuleType, means: list[float], precisions: list[float]
) -> None:
    first = stats.norm.cdf((means[0] - means[1]) / np.sqrt(1 / precisions[0] + 1 / precisions[1]))
    counts = choose_often(thompson, means, precisions, [1, 1])
    expected = DECISIONS * np.array([first, 1 - first])
    assert stats.chisquare(counts, expected).pvalue > LEAST_P_VALUE


@pytest.mark.parametrize(
    ("means", "precisions"),
    [
        ([0.0, 0.2, 0.4], [1.0, 4.0, 0.5]),
        ([-5.0, -4.5, -4.0, -4.2, -6.0], [1.0, 1.0, 2.0, 0.3, 0.1]),
        ([0.0] * 8, [1.0] * 8),
    ],
)
def test_one_of_many_arms_is_chosen_as_often_as_it_is_best(
    thompson: ModuleType, means: list[float], precisions: list[float]
) -> None:
    chances = np.array([chance_of_being_best(arm, means, precisions) for arm in range(len(means))])
    assert chances.sum() == pytest.approx(1.0, abs=1e-7)
    counts = choose_often(thompson, means, precisions, [1] * len(means))
    expected = DECISIONS * chances / chances.sum()
    assert stats.chisquare(counts, expected).pvalue > LEAST_P_VALUE


def test_under_observed_arms_are_explored_equally_often_and_no_other(thompson: ModuleType) -> None:
    seen = [5, 1, 2, 0, 7, 1]
    counts = choose_often(thompson, [0.0] * 6, [1.0] * 6, seen, explorations=2)
    under_observed = [1, 3, 5]
    assert counts[under_observed].sum() == DECISIONS
    assert stats.chisquare(counts[under_observed]).pvalue > LEAST_P_VALUE


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 2**32))
def test_exploring_draws_a_permutation_and_no_normal(
    thompson: ModuleType, seen: list[int], seed: int
) -> None:
    draws = np.random.default_rng(seed)
    arms = len(seen)
    arguments = np.zeros(arms), np.ones(arms), np.array(seen), np.array([2]), row_of(draws.bit_generator)
    choices, samples, after = thompson.choose(np.array([0, arms]), *arguments[:-1], arguments[-1][None])
    order = draws.choice(np.arange(arms), arms, replace=False)
    if min(seen) < 2:
        assert choices[0] == next(arm for arm in order if seen[arm] < 2)
        assert np.isnan(samples).all()
        np.testing.assert_array_equal(after[0], row_of(draws.bit_generator))
    else:
        assert choices[0] == np.argmax(samples)
        assert not np.isnan(samples).any()


def certain(thompson: ModuleType, means: Floats, seed: int) -> tuple[int, Floats, States]:
    """Choose among arms of no variance."""
    arms = len(means)
    observations, explorations = np.ones(arms, dtype=np.int64), np.array([1])
    choices, samples, after = thompson.choose(
        np.array([0, arms]), means, np.full(arms, np.inf), observations, explorations, streams(seed, 1)
    )
    return int(choices[0]), samples, after


@given(st.lists(st.sampled_from([-2.5, 0.0, 7.0]), min_size=1, max_size=12), st.integers(0, 2**32))
def test_a_tie_goes_to_the_first(thompson: ModuleType, means: list[float], seed: int) -> None:
    choice, samples, _ = certain(thompson, np.array(means), seed)
    assert choice == means.index(max(means))
    np.testing.assert_array_equal(samples, means)


def test_an_arm_of_no_variance_takes_its_normal_from_the_stream(thompson: ModuleType) -> None:
    _, _, certainly = certain(thompson, np.zeros(5), 31)
    arguments = np.ones(5), np.ones(5, dtype=np.int64), np.array([1]), streams(31, 1)
    _, _, doubtfully = thompson.choose(np.array([0, 5]), np.zeros(5), *arguments)
    np.testing.assert_array_equal(certainly, doubtfully)


@given(
    st.lists(reward(), min_size=1, max_size=5),
    st.integers(1, 20),
    prior_mean(),
    prior_precision(),
)
def test_an_arm_of_equal_rewards_draws_its_mean(
    thompson: ModuleType, values: list[float], times: int, mean: float, precision: float
) -> None:
    arms = len(values)
    means, precisions, _ = posterior_kernel.fit_compensated(
        np.repeat(values, times),
        np.arange(arms + 1) * times,
        np.full(arms, mean),
        np.full(arms, precision),
    )
    assert (precisions == np.inf).all()
    choice, samples, _ = certain(thompson, means, 32)
    np.testing.assert_array_equal(samples, values)
    assert choice == values.index(max(values))


def test_many_jobs_in_one_call_are_one_call_a_job(thompson: ModuleType) -> None:
    draws = np.random.default_rng(33)
    sizes = draws.integers(1, 20, size=300)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    total = offsets[-1]
    per_arm = draws.normal(size=total), draws.lognormal(size=total), draws.integers(0, 9, size=total)
    explorations, states = draws.integers(0, 3, size=300), streams(34, 300)
    together = thompson.choose(offsets, *per_arm, explorations, states)
    for job, (start, end) in enumerate(itertools.pairwise(offsets)):
        alone = thompson.choose(
            np.array([0, end - start]),
            *(column[start:end] for column in per_arm),
            explorations[job : job + 1],
            states[job : job + 1],
        )
        np.testing.assert_array_equal(alone[0], together[0][job : job + 1])
        np.testing.assert_array_equal(alone[1], together[1][start:end])
        np.testing.assert_array_equal(alone[2], together[2][job : job + 1])


def numpy_decides(
    generator: np.random.Generator, means: Floats, precisions: Floats, seen: Integers, explorations: int
) -> int:
    """Decide as NumPy's own generator does, called as the reference calls it."""
    arms = np.arange(len(means))
    for arm in generator.choice(arms, len(arms), replace=False):
        if seen[arm] < explorations:
            return int(arm)
    with np.errstate(divide="ignore"):
        scales = np.sqrt(np.reciprocal(precisions))
    samples = [generator.normal(mean, scale) for mean, scale in zip(means, scales, strict=True)]
    return int(np.argmax(samples))


def carried_on(sizes: Integers, rounds: int, seed: int) -> None:
    """Let jobs learn for some rounds, each on one stream, and hold every decision to NumPy's generators."""
    draws = np.random.default_rng(seed)
    jobs, offsets = len(sizes), np.concatenate([[0], np.cumsum(sizes)])
    generators = [np.random.default_rng(int(word)) for word in draws.integers(2**63, size=jobs)]
    states = np.array([row_of(generator.bit_generator) for generator in generators])
    seen, explorations = draws.integers(0, 3, size=offsets[-1]), draws.integers(0, 3, size=jobs)
    for _ in range(rounds):
        means, precisions = draws.normal(size=offsets[-1]), draws.lognormal(0.0, 3.0, size=offsets[-1])
        precisions[draws.random(offsets[-1]) < 0.1] = np.inf
        choices, _, states = kernel.choose(offsets, means, precisions, seen, explorations, states)
        expected = [
            numpy_decides(generator, means[start:end], precisions[start:end], seen[start:end], least)
            for generator, start, end, least in zip(
                generators, offsets[:-1], offsets[1:], explorations.tolist(), strict=True
            )
        ]
        assert choices.tolist() == expected
        seen[offsets[:-1] + choices] += 1
    np.testing.assert_array_equal(states, [row_of(generator.bit_generator) for generator in generators])


def test_twelve_thousand_decisions_on_carried_streams_are_numpys() -> None:
    sizes = np.concatenate(
        [np.tile(np.arange(1, 13), 19), [20, 33, 64, 65, 127, 128, 250, 256, 257, 512, 700, 1000]]
    )
    assert 50 * len(sizes) == 12_000
    carried_on(sizes, 50, 35)


def test_above_ten_thousand_arms_the_permutation_is_still_numpys() -> None:
    carried_on(np.array([9_999, 10_000, 10_001, 20_000]), 2, 36)


def before(word: int) -> list[int]:
    """Return the row of a stream whose next 64-bit word is the given one, below 2^58."""
    modulus, multiplier, increment = 2**128, 2549297995355413924 << 64 | 4865540595714422341, 1
    # The word is the state's halves xored, turned by its top six bits: here the lower half alone, not turned.
    state = (word - increment) * pow(multiplier, -1, modulus) % modulus
    return [state >> 64, state % 2**64, 0, increment, 0, 0]


def test_a_half_word_that_is_refused_is_drawn_again(thompson: ModuleType) -> None:
    # Three numbers do not divide 2^32: Lemire's method refuses the half word 0, the second one here.
    states = np.array([before(12_345)], dtype=np.uint64)
    arguments = np.zeros(3), np.ones(3), np.zeros(3, dtype=np.int64), np.array([1]), states
    choices, _, after = thompson.choose(np.array([0, 3]), *arguments)
    draws = generator(states[0])
    assert choices[0] == draws.choice(3, 3, replace=False)[0]
    np.testing.assert_array_equal(after[0], row_of(draws.bit_generator))
    assert after[0, 4] == 1, "five half words were drawn for four numbers"


def test_the_samples_are_numpys_to_the_last_bit() -> None:
    draws = np.random.default_rng(37)
    sizes = draws.integers(1, 40, size=200)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    total = offsets[-1]
    arguments = (
        offsets,
        -(10.0 ** draws.uniform(-100, 100, size=total)),
        10.0 ** draws.uniform(-200, 200, size=total),
        draws.integers(0, 60, size=total),
        np.full(200, 1),
        streams(38, 200),
    )
    for compiled, plain in zip(kernel.choose(*arguments), twin.choose(*arguments), strict=True):
        assert compiled.tobytes() == plain.tobytes()
