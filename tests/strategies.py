"""Hypothesis strategies, all in one place."""

from typing import NamedTuple, TypedDict

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Where the order of NumPy's pairwise summation changes: 8 accumulators, blocks of 128, halves of larger ones.
BLOCK_EDGES = (*range(9), 15, 16, 17, 127, 128, 129, 135, 136, 137, 255, 256, 257, 1000, 1033, 2049)


class Segments(NamedTuple):
    """The arguments of a posterior fit: ragged rewards of several arms and their priors."""

    rewards: Floats
    offsets: NDArray[np.int64]
    prior_means: Floats
    prior_precisions: Floats


class Posteriors(NamedTuple):
    """The posteriors of a job's arms; a deviation of 0 is a known mean, an infinite one knows nothing."""

    means: Floats
    deviations: Floats


class Arm(NamedTuple):
    """One arm to fit."""

    rewards: Floats
    prior_mean: float
    prior_precision: float


class Ended(NamedTuple):
    """How a training came to an end; see ``core.kernels.frugality``. It is at the size-th batch size."""

    size: int
    epochs: float
    time: float
    energy: float
    ending: int
    bound: float


class Lesson(NamedTuple):
    """A job of policy frugal and what its trainings have shown; the weights make joules of cost."""

    positions: Floats
    default: int
    energy_weight: float
    time_weight: float
    results: list[Ended]
    running: list[int]


class Words(TypedDict):
    """The two 128-bit words of a PCG64."""

    state: int
    inc: int


class State(TypedDict):
    """A PCG64 as its ``bit_generator.state`` gives it."""

    bit_generator: str
    state: Words
    has_uint32: int
    uinteger: int


def _with_sign(magnitudes: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.builds(lambda sign, magnitude: sign * magnitude, st.sampled_from([-1.0, 1.0]), magnitudes)


def reward() -> st.SearchStrategy[float]:
    """One admissible reward: 0, or a magnitude from 1e-100 to 1e100."""
    return st.just(0.0) | _with_sign(st.floats(1e-100, 1e100))


def prior_mean() -> st.SearchStrategy[float]:
    """One admissible prior mean."""
    return st.just(0.0) | st.floats(-1e100, 1e100)


def prior_precision() -> st.SearchStrategy[float]:
    """One admissible prior precision."""
    return st.just(0.0) | st.floats(0.0, 1e100)


@st.composite
def few_rewards(draw: st.DrawFn) -> Floats:
    """Draw up to a dozen rewards: any at all, or neighbours in the last places of one number."""
    if draw(st.booleans()):
        return np.array(draw(st.lists(reward(), min_size=1, max_size=12)))
    centre = draw(_with_sign(st.floats(1e-99, 1e99)) | st.sampled_from([1.0, 1e12, 2.0**60]))
    steps = draw(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
    return np.array([centre * (1.0 + step * 2.0**-52) for step in steps])


@st.composite
def many_rewards(draw: st.DrawFn) -> Floats:
    """Draw rewards of a length at which pairwise summation changes shape: a level, and a spread around it."""
    length = draw(st.sampled_from(BLOCK_EDGES[1:]))
    level = draw(_with_sign(st.floats(1e-3, 1e15)))
    spread = 10.0 ** draw(st.integers(-6, 15))
    noise = np.random.default_rng(draw(st.integers(0, 2**32))).normal(size=length)
    rewards: Floats = level + spread * noise
    return rewards


ANY_REWARDS = few_rewards() | many_rewards()


@st.composite
def arms(draw: st.DrawFn, rewards: st.SearchStrategy[Floats] = ANY_REWARDS) -> Arm:
    """Draw an arm with observations; the prior's weight is anything, or comparable to theirs."""
    seen = draw(rewards)
    mean = draw(prior_mean() | st.sampled_from(seen.tolist()))
    spread = float(np.ptp(seen))
    comparable = st.floats(1e-3, 1e3).map(lambda weight: min(weight * len(seen) / spread / spread, 1e100))
    return Arm(seen, mean, draw(prior_precision() | comparable if spread else prior_precision()))


@st.composite
def segments(draw: st.DrawFn) -> Segments:
    """Draw the arguments of a fit of several arms, some without observations."""
    empty = st.builds(Arm, st.just(np.empty(0)), prior_mean(), prior_precision())
    drawn = draw(st.lists(arms() | empty, max_size=6))
    return Segments(
        np.concatenate([np.empty(0), *(arm.rewards for arm in drawn)]),
        np.cumsum([0, *(len(arm.rewards) for arm in drawn)], dtype=np.int64),
        np.array([arm.prior_mean for arm in drawn], dtype=np.float64),
        np.array([arm.prior_precision for arm in drawn], dtype=np.float64),
    )


@st.composite
def posteriors(draw: st.DrawFn, most: int = 6, least_deviation: float = 1e-6) -> Posteriors:
    """Draw the posteriors of a few arms that are near each other, on the scale of one of them."""
    orders = st.floats(np.log10(least_deviation), 0.0)
    deviation = orders.map(lambda order: 10.0**order) | st.sampled_from([0.0, 1.0, 1.0, np.inf])
    deviations = draw(st.lists(deviation, min_size=1, max_size=most))
    spread = draw(st.sampled_from([1.0, *(one for one in deviations if 0 < one < np.inf)]))
    steps = st.floats(-4.0, 4.0) | st.sampled_from([0.0, 1.0])
    means = [draw(steps) * spread for _ in deviations]
    return Posteriors(np.array(means), np.array(deviations))


@st.composite
def pcg64_states(draw: st.DrawFn) -> State:
    """Draw a state of NumPy's PCG64."""
    words = st.integers(0, 2**128 - 1) | st.sampled_from([0, 2**64 - 1, 2**64, 2**128 - 1])
    return {
        "bit_generator": "PCG64",
        "state": {"state": draw(words), "inc": draw(words) | 1},
        "has_uint32": draw(st.integers(0, 1)),
        "uinteger": draw(st.integers(0, 2**32 - 1)),
    }


@st.composite
def octaves(draw: st.DrawFn, least: int = 1, most: int = 6) -> Floats:
    """Draw batch sizes, as logarithms."""
    count = draw(st.integers(least, most))
    powers = st.integers(0, 20).map(lambda first: [2 ** (first + i) for i in range(count)])
    any_at_all = st.sets(st.integers(1, 2**20), min_size=count, max_size=count).map(sorted)
    return np.log2(np.array(draw(powers | any_at_all), dtype=np.float64))


@st.composite
def lessons(
    draw: st.DrawFn,
    positions: st.SearchStrategy[Floats] | None = None,
    most_results: int = 12,
    joules: st.SearchStrategy[float] | None = None,
    endings: tuple[int, ...] = (0, 0, 0, 1, 2, 3),
) -> Lesson:
    """Draw a job, what an epoch costs at each batch size and how many it takes, and trainings about that."""
    places = draw(octaves() if positions is None else positions)
    n, rng = len(places), np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.floats(-3, 9).map(lambda order: 10.0**order) if joules is None else joules)
    spread, noise = draw(st.sampled_from([0.0, 0.3, 3.0])), draw(st.sampled_from([0.0, 0.02, 0.3]))
    lengths = draw(st.sampled_from([1.0, 10.0, 100.0, 1e4])) * np.exp(spread * rng.random(n))
    per_epoch = scale * np.exp(spread * rng.normal(size=n))
    results = []
    for size in draw(st.lists(st.integers(0, n - 1), max_size=most_results)):
        ending = draw(st.sampled_from(endings))
        share = 1.0 if ending == 0 else rng.random()
        epochs = float(np.ceil(share * lengths[size] * np.exp(noise * rng.normal())))
        energy = epochs * per_epoch[size] * float(np.exp(0.1 * noise * rng.normal()))
        bound = float(np.log(epochs + 0.5) + rng.random()) if ending == 3 else -np.inf
        results.append(Ended(size, epochs, energy / 200, energy, ending, bound))
    weights = draw(st.sampled_from([(1.0, 0.0), (0.0, 250.0), (0.5, 125.0)]))
    running = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n) | st.just([0] * n))
    return Lesson(places, draw(st.integers(0, n - 1)), *weights, results, running)
