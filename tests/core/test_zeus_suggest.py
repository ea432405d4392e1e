"""Suggestions of the policy ``zeus``, from the first exploration to the bandit's draws."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.needs import Arms, Results
from core.records import Arm, Stage, TrialStatus, TrialType
from core.streams import seeded

if TYPE_CHECKING:
    from tests.core.conftest import Ledger

MakeLedger = Callable[..., "Ledger"]

# Their sum depends on the order, in the last bit of the mean: the first alone is beyond the unit of the rest.
COSTS = [2.0**53, 1.0, 1.0, 1.0]


def posterior_of(rewards: list[float], prior_mean: float = 0.0, prior_precision: float = 0.0) -> list[float]:
    """Return posterior mean, its precision and the precision of a reward, as NumPy computes them."""
    reward_precision = np.reciprocal(np.var(rewards))
    precision = prior_precision + len(rewards) * reward_precision
    mean = (prior_precision * prior_mean + reward_precision * np.sum(rewards)) / precision
    return [float(mean), float(precision), float(reward_precision)]


def numbers_of(arm: Arm) -> list[float]:
    return [arm.param_mean, arm.param_precision, arm.reward_precision]


def test_explorations_follow_the_walk_and_are_numbered_from_1(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64, 128), num_pruning_rounds=1)
    trials = [ledger.run(lambda _: 100.0) for _ in range(3)]
    assert [(trial.trial_number, trial.batch_size) for trial in trials] == [(1, 64), (2, 32), (3, 128)]
    assert {trial.type for trial in trials} == {TrialType.EXPLORATION}


def test_trial_numbers_go_up_by_one_from_the_last_whatever_the_type(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(last_trial_number=41)
    ledger.reach_mab(lambda _: 100.0)
    for _ in range(3):
        ledger.suggest()
    assert list(ledger.trials) == list(range(42, 42 + len(ledger.trials)))
    assert ledger.job.last_trial_number == max(ledger.trials)


def test_a_new_trial_is_dispatched_now(make_ledger: MakeLedger) -> None:
    trial = make_ledger().suggest().trial
    assert trial.status is TrialStatus.DISPATCHED
    assert trial.start_timestamp.isoformat() == "2026-03-04T05:06:07.000089+00:00"
    assert (trial.end_timestamp, trial.time, trial.energy, trial.converged) == (None,) * 4


def test_an_exploration_that_fails_is_dispatched_again(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    for number in (1, 2, 3):
        trial = ledger.suggest().trial
        assert (trial.trial_number, trial.batch_size, trial.type) == (number, 64, TrialType.EXPLORATION)
        ledger.fail(number)


def test_while_an_exploration_runs_others_get_the_cheapest_batch_size_so_far(
    make_ledger: MakeLedger,
) -> None:
    ledger = make_ledger((32, 64, 128))
    ledger.suggest()
    concurrent = ledger.suggest().trial
    assert (concurrent.type, concurrent.batch_size) == (TrialType.CONCURRENT, 64)  # the default till then

    ledger.report(1, energy=100.0)
    ledger.run(lambda _: 80.0)
    ledger.suggest()
    assert [ledger.suggest().trial.batch_size for _ in range(3)] == [32, 32, 32]


def test_concurrent_trials_are_no_explorations(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64))
    ledger.suggest()
    ledger.suggest()
    ledger.report(2, energy=100.0)
    assert ledger.suggest().trial.type is TrialType.CONCURRENT
    ledger.report(1, energy=100.0)
    assert (ledger.suggest().trial.batch_size, ledger.trials[4].type) == (32, TrialType.EXPLORATION)


def test_explorations_and_concurrent_trials_leave_the_stream_alone(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64, 128))
    for number in range(1, 13, 2):
        kinds = [ledger.suggest().trial.type for _ in range(2)]
        assert kinds == [TrialType.EXPLORATION, TrialType.CONCURRENT]
        ledger.report(number, energy=100.0)
    assert ledger.job.mab_random_generator_state == seeded(1)
    assert ledger.suggest().trial.type is TrialType.MAB
    assert ledger.job.mab_random_generator_state != seeded(1)


@pytest.mark.parametrize("window_size", [0, 1, 2])
def test_arms_are_born_of_all_explorations_ascending_whatever_the_window(
    make_ledger: MakeLedger, window_size: int
) -> None:
    ledger = make_ledger((64, 128), num_pruning_rounds=len(COSTS), window_size=window_size, beta_knob=None)
    explored = {64: iter(COSTS), 128: iter([3.0, 1.0, 4.0, 1.5])}
    suggested = ledger.reach_mab(lambda size: next(explored[size]))

    assert suggested.job.stage is Stage.MAB
    assert [arm.batch_size for arm in suggested.born] == [64, 128]
    assert [arm.num_observations for arm in suggested.born] == [4, 4]
    born = posterior_of([-cost for cost in COSTS])
    assert numbers_of(suggested.born[0]) == born
    assert numbers_of(suggested.born[1]) == posterior_of([-3.0, -1.0, -4.0, -1.5])
    assert posterior_of([-cost for cost in reversed(COSTS)]) != born


def test_concurrent_results_are_no_part_of_a_birth(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((64,), num_pruning_rounds=2, mab_prior_mean=-90.0, mab_prior_precision=0.25)
    for number, cost in ((1, 100.0), (3, 110.0)):
        ledger.suggest()
        ledger.suggest()
        ledger.report(number + 1, energy=105.0)
        ledger.report(number, energy=cost)
    [arm] = ledger.suggest().born
    assert numbers_of(arm) == posterior_of([-100.0, -110.0], -90.0, 0.25)
    assert not [need for need in ledger.asked if isinstance(need, Results)]


def test_only_survivors_become_arms(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64, 128), num_pruning_rounds=1)
    ledger.run(lambda _: 100.0)
    ledger.run(lambda _: 100.0, metric=0.0, current_epoch=10)
    ledger.run(lambda _: 100.0)
    assert [arm.batch_size for arm in ledger.suggest().born] == [64, 128]


def test_without_rounds_arms_are_born_with_the_prior(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64), num_pruning_rounds=0, mab_prior_mean=-7.0, mab_prior_precision=0.5)
    suggested = ledger.suggest()
    assert suggested.trial.type is TrialType.MAB
    assert [numbers_of(arm) for arm in suggested.born] == [[-7.0, 0.5, 0.0]] * 2
    assert [arm.num_observations for arm in suggested.born] == [0, 0]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**63 - 1), sizes=st.sets(st.integers(1, 4096), min_size=1, max_size=6))
def test_arms_without_observations_are_explored_before_any_draw(
    make_ledger: MakeLedger, seed: int, sizes: set[int]
) -> None:
    ledger = make_ledger(
        sorted(sizes),
        num_pruning_rounds=0,
        mab_num_explorations=0,
        mab_random_generator_state=seeded(seed),
    )
    assert {ledger.run(float).batch_size for _ in sizes} == sizes
    ledger.run(float)


def test_the_bandit_asks_for_its_arms_alone(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.reach_mab(lambda _: 100.0)
    ledger.asked.clear()
    assert ledger.suggest().born == ()
    assert ledger.asked == [Arms(ledger.job.job_id)]


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**63 - 1),
    arms=st.lists(
        st.tuples(st.floats(-1e6, -1.0), st.floats(1e-9, 1e3) | st.just(float("inf")), st.integers(0, 4)),
        min_size=1,
        max_size=8,
    ),
    num_explorations=st.integers(0, 3),
)
def test_a_choice_consumes_the_stream_as_numpy_does(
    make_ledger: MakeLedger, seed: int, arms: list[tuple[float, float, int]], num_explorations: int
) -> None:
    ledger = make_ledger(
        stage=Stage.MAB, mab_num_explorations=num_explorations, mab_random_generator_state=seeded(seed)
    )
    ledger.arms = {
        size: Arm(
            job_id=ledger.job.job_id,
            batch_size=size,
            param_mean=mean,
            param_precision=precision,
            reward_precision=1.0,
            num_observations=observations,
        )
        for size, (mean, precision, observations) in enumerate(arms, start=1)
    }

    draws = np.random.default_rng(seed)
    expected = [
        size
        for size in draws.choice(list(ledger.arms), len(arms), replace=False).tolist()
        if ledger.arms[size].num_observations < max(num_explorations, 1)
    ]
    if not expected:
        samples = [draws.normal(mean, np.sqrt(1 / precision)) for mean, precision, _ in arms]
        expected = [1 + int(np.argmax(samples))]

    assert ledger.suggest().trial.batch_size == expected[0]
    assert json.loads(ledger.job.mab_random_generator_state) == draws.bit_generator.state
