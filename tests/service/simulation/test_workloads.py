"""Workloads as data, and the synthetic family."""

import math
from itertools import pairwise

import numpy as np
import pytest
from benchmarks.synthetic import synthetic
from benchmarks.workloads import Goal, Setting, Spending, Workload

RISING = (0.1, 0.5, 0.6, 0.7)
FLAT = (0.1, 0.1, 0.2, 0.2)

WORKLOAD = Workload(
    name="example",
    gpu="GPU",
    goal=Goal(0.5, 4),
    default_batch_size=8,
    max_power=100.0,
    noise=0.0,
    settings={
        16: Setting(10.0, 50.0, (RISING, FLAT)),
        8: Setting(20.0, 40.0, (RISING,)),
        32: Setting(5.0, 90.0, (FLAT,)),
    },
)


def test_a_target_is_reached_from_the_right_side() -> None:
    assert Goal(0.5, 4).epochs(RISING) == 2
    assert Goal(0.5, 4).epochs(FLAT) is None
    assert Goal(0.15, 4, higher_is_better=False).epochs((0.3, 0.2, 0.15)) == 3


def test_nan_reaches_no_target() -> None:
    assert not Goal(0.5, 4).reached(math.nan)
    assert not Goal(0.5, 4, higher_is_better=False).reached(math.nan)


def test_a_training_adds_up_from_epoch_to_epoch() -> None:
    epochs = WORKLOAD.train(8, np.random.default_rng(0))
    assert epochs == [(20, 800, 0.1), (40, 1600, 0.5), (60, 2400, 0.6), (80, 3200, 0.7)]


def test_noise_leaves_the_average_where_it_is() -> None:
    [workload] = synthetic(0, count=1, noise=0.1)
    rng = np.random.default_rng(1)
    batch_size = workload.default_batch_size
    times = [workload.train(batch_size, rng)[0].time for _ in range(4000)]
    expected = workload.settings[batch_size].epoch_time
    assert np.mean(times) == pytest.approx(expected, rel=0.01)
    assert np.std(times) == pytest.approx(0.1 * expected, rel=0.1)


def test_expected_spending_pays_for_failures_too() -> None:
    # Half the trainings at 16 end after 2 epochs, the others fail after 4: 6 epochs a success.
    assert WORKLOAD.expected(16) == Spending(60.0, 3000.0)
    assert WORKLOAD.expected(8) == Spending(40.0, 1600.0)
    assert WORKLOAD.expected(32) == Spending(math.inf, math.inf)


def test_cost_weighs_energy_against_time() -> None:
    spending = Spending(time=40.0, energy=1600.0)
    assert WORKLOAD.cost(spending, eta=1.0) == 1600
    assert WORKLOAD.cost(spending, eta=0.0) == 4000
    assert WORKLOAD.cost(spending, eta=0.25) == 3400


def test_the_best_batch_size_is_the_one_with_the_lowest_expected_cost() -> None:
    assert WORKLOAD.best_batch_size(eta=0.5) == 8


def test_expected_spending_is_what_trainings_take_on_average() -> None:
    [workload] = synthetic(3, count=1, noise=0.02)
    rng = np.random.default_rng(0)
    batch_size = workload.default_batch_size
    energies = []
    for _ in range(2000):
        epochs = workload.train(batch_size, rng)
        energies.append(next(epoch.energy for epoch in epochs if workload.goal.reached(epoch.metric)))
    assert np.mean(energies) == pytest.approx(workload.expected(batch_size).energy, rel=0.01)


def test_the_same_seed_makes_the_same_workloads() -> None:
    assert synthetic(7) == synthetic(7)
    assert synthetic(7) != synthetic(8)


def test_the_same_seed_draws_the_same_trainings() -> None:
    [workload] = synthetic(7, count=1)
    trainings = [workload.train(workload.default_batch_size, np.random.default_rng(5)) for _ in range(2)]
    assert trainings[0] == trainings[1]


@pytest.mark.parametrize("seed", range(30))
def test_synthetic_workloads_have_one_valley(seed: int) -> None:
    for workload in synthetic(seed, noise=0.0):
        costs = [workload.cost(workload.expected(size), 0.5) for size in workload.batch_sizes]
        finite = [cost for cost in costs if math.isfinite(cost)]
        valley = finite.index(min(finite))
        # Neighbours that are nearly equal may be in either order: their epochs are whole numbers, drawn.
        assert all(before > 0.9 * after for before, after in pairwise(finite[: valley + 1]))
        assert all(after > 0.9 * before for before, after in pairwise(finite[valley:]))


@pytest.mark.parametrize("seed", range(30))
def test_synthetic_workloads_have_batch_sizes_that_never_converge(seed: int) -> None:
    for workload in synthetic(seed):
        largest = workload.batch_sizes[-1]
        assert math.isinf(workload.expected(largest).time)


@pytest.mark.parametrize("seed", range(30))
def test_the_default_of_a_synthetic_workload_always_converges(seed: int) -> None:
    for workload in synthetic(seed):
        curves = workload.settings[workload.default_batch_size].curves
        assert None not in map(workload.goal.epochs, curves)
