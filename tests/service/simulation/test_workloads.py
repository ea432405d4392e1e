"""Workloads as data, and families of them."""

import math
from itertools import pairwise

import pytest

from service.errors import OpeningError
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.trainings import epoch_of
from service.simulation.workloads import Goal, Run, Spending, Workload

RISING = (0.1, 0.5, 0.6, 0.7)
FLAT = (0.1, 0.1, 0.2, 0.2)

WORKLOAD = Workload(
    name="example",
    gpu="GPU",
    goal=Goal(0.5, 4),
    default_batch_size=8,
    max_power=100.0,
    noise=0.0,
    runs={
        8: (Run(20.0, 800.0, RISING),),
        16: (Run(10.0, 500.0, RISING), Run(10.0, 500.0, FLAT)),
        32: (Run(5.0, 450.0, FLAT),),
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
    [run] = WORKLOAD.runs[8]
    epochs = [epoch_of(WORKLOAD, run, number) for number in range(1, 5)]
    assert epochs == [(1, 20, 800, 0.1), (2, 40, 1600, 0.5), (3, 60, 2400, 0.6), (4, 80, 3200, 0.7)]


def test_a_training_that_ends_before_its_time_has_no_epoch_left() -> None:
    assert epoch_of(WORKLOAD, Run(1.0, 1.0, (0.1, 0.2)), 2).number == 4


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


def test_without_a_batch_size_that_reaches_the_target_none_is_best() -> None:
    hopeless = Workload(
        name="late", goal=Goal(0.5, 4), default_batch_size=8, max_power=1.0, runs={8: [Run(1.0, 1.0, FLAT)]}
    )
    with pytest.raises(OpeningError, match="no run of late reaches its target"):
        hopeless.best_batch_size(0.5)


families = pytest.mark.parametrize("family", Family)
SEEDS = range(10)


def costs(workload: Workload) -> list[float]:
    """Return the expected costs of the batch sizes that reach the target, ascending by batch size."""
    each = [workload.expected_cost(size, 0.5) for size in workload.batch_sizes]
    return [cost for cost in each if math.isfinite(cost)]


@families
def test_the_same_seed_makes_the_same_workloads(family: Family) -> None:
    assert synthetic(family, 7, 2, Trouble()) == synthetic(family, 7, 2, Trouble())
    assert synthetic(family, 7, 2, Trouble()) != synthetic(family, 8, 2, Trouble())


@families
@pytest.mark.parametrize("seed", SEEDS)
def test_a_family_has_hopeless_ends_unsteady_batch_sizes_and_a_steady_default(
    family: Family, seed: int
) -> None:
    for workload in synthetic(family, seed, 3, Trouble(hopeless=0.3, unsteady=0.5)):
        reached = {
            size: sum(workload.goal.epochs(run.curve) is not None for run in runs) / len(runs)
            for size, runs in workload.runs.items()
        }
        able = [size for size in workload.batch_sizes if reached[size] > 0]
        assert workload.batch_sizes[-1] not in able
        first = workload.batch_sizes.index(able[0])
        assert able == workload.batch_sizes[first : first + len(able)]
        assert set(reached.values()) == {0.0, 0.5, 1.0}
        assert reached[workload.default_batch_size] == 1
        assert reached[workload.best_batch_size(0.5)] == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", [Family.VALLEY, Family.MANY])
def test_a_valley_falls_and_rises_again(family: Family, seed: int) -> None:
    for workload in synthetic(family, seed, 3, Trouble()):
        finite = costs(workload)
        valley = finite.index(min(finite))
        # Neighbours that are nearly equal may be in either order: their epochs are whole numbers, drawn.
        assert all(before > 0.9 * after for before, after in pairwise(finite[: valley + 1]))
        assert all(after > 0.9 * before for before, after in pairwise(finite[valley:]))


def test_families_are_what_they_are_called() -> None:
    for seed in SEEDS:
        for workload in synthetic(Family.FLAT, seed, 3, Trouble()):
            assert max(costs(workload)) < 1.2 * min(costs(workload))
        for workload in synthetic(Family.STEEP, seed, 3, Trouble()):
            assert min(costs(workload)) in {costs(workload)[0], costs(workload)[-1]}
        for workload in synthetic(Family.NARROW, seed, 3, Trouble()):
            assert sorted(costs(workload))[1] > 1.4 * min(costs(workload))
        for workload in synthetic(Family.MANY, seed, 3, Trouble()):
            assert len(workload.batch_sizes) == 48
