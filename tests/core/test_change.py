"""A job whose terms change goes on as if it had had them all along."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.change import CHANGEABLE, change
from core.cost import cost_of
from core.errors import CostOutOfRange
from core.records import Stage
from core.sums import MOST_REFITTED
from tests.core.conftest import Ledger

MakeLedger = Callable[..., Ledger]


def altered(ledger: Ledger, **terms: float | None) -> None:
    """Give a ledger's job other terms."""
    changed = ledger.decide(change(ledger.job, terms))
    ledger.job = changed.job
    for arm, sums in changed.arms:
        ledger.arms[arm.batch_size] = arm
        if sums is not None:
            ledger.sums[arm.batch_size] = sums


def trained(make_ledger: MakeLedger, times: int = 12, **changes: object) -> Ledger:
    """Return a ledger of a job that has reached the bandit and gone on for a while."""
    ledger = make_ledger(max_power=100.0, eta_knob=0.5, beta_knob=None, **changes)
    ledger.reach_mab(float)
    for number in range(times):
        trial = ledger.suggest().trial
        ledger.report(trial.trial_number, energy=trial.batch_size + 10.0 * number, time=1.0 + number)
    return ledger


@settings(deadline=None, max_examples=50)
@given(eta=st.floats(0, 1), window=st.integers(0, 6))
def test_every_arm_is_fitted_to_what_its_results_cost_now(
    make_ledger: MakeLedger, eta: float, window: int
) -> None:
    ledger = trained(make_ledger)
    altered(ledger, eta_knob=eta, window_size=window)
    for size, arm in ledger.arms.items():
        costs = [
            cost_of(ledger.job, trial.time, trial.energy)
            for _, trial in sorted(ledger.trials.items())
            if trial.batch_size == size and trial.time is not None and trial.energy is not None
        ][-window:]
        assert arm.num_observations == len(costs)
        assert arm.param_mean == pytest.approx(-sum(costs) / len(costs), rel=1e-9)


def test_the_lowest_cost_is_that_of_the_cheapest_that_converged(make_ledger: MakeLedger) -> None:
    ledger = trained(make_ledger)
    trial = ledger.suggest().trial
    ledger.report(trial.trial_number, energy=0.5, time=0.001, metric=0.0, current_epoch=10)
    for eta in (0.0, 0.3, 1.0):
        altered(ledger, eta_knob=eta)
        costs = {
            (cost_of(ledger.job, trial.time, trial.energy), number, trial.batch_size)
            for number, trial in ledger.trials.items()
            if trial.converged and trial.time is not None and trial.energy is not None
        }
        cost, _, batch_size = min(costs)
        assert (ledger.job.min_cost, ledger.job.min_cost_batch_size) == (cost, batch_size)


def test_there_and_back_is_where_it_was(make_ledger: MakeLedger) -> None:
    ledger = trained(make_ledger)
    altered(ledger, eta_knob=0.5 + 1e-9)
    altered(ledger, eta_knob=0.5)
    job, arms = ledger.job, dict(ledger.arms)
    altered(ledger, eta_knob=0.9)
    assert ledger.job.registered == {"eta_knob": 0.5}
    altered(ledger, eta_knob=0.5)
    assert (ledger.job, ledger.arms) == (job, arms)
    assert ledger.job.registered == {}


def test_an_arm_on_its_sums_is_fitted_from_them(make_ledger: MakeLedger) -> None:
    ledger = trained(make_ledger, times=MOST_REFITTED + 20, batch_sizes=(64,), num_pruning_rounds=0)
    assert ledger.sums
    ledger.asked.clear()
    altered(ledger, eta_knob=0.1)
    assert not any("Results" in type(need).__name__ for need in ledger.asked)
    (arm,) = ledger.arms.values()
    results = [t for t in ledger.trials.values() if t.time is not None and t.energy is not None]
    costs = [cost_of(ledger.job, t.time or 0, t.energy or 0) for t in results]
    assert arm.param_mean == pytest.approx(-sum(costs) / len(costs), rel=1e-9)
    altered(ledger, window_size=5)
    assert ledger.arms[64].num_observations == 5
    altered(ledger, window_size=0)
    assert ledger.arms[64].num_observations == len(results)


def test_in_the_pruning_stage_the_walk_goes_on_under_the_new_terms(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(max_power=100.0, eta_knob=1.0, beta_knob=None)
    for _ in range(3):
        trial = ledger.suggest().trial
        # The larger, the more energy and the less time.
        ledger.report(trial.trial_number, energy=trial.batch_size * 1.0, time=100.0 / trial.batch_size)
    assert ledger.job.min_cost_batch_size == 32
    altered(ledger, eta_knob=0.0)
    assert (ledger.job.stage, ledger.job.min_cost_batch_size) == (Stage.PRUNING, 128)
    assert ledger.suggest().trial.batch_size == 128, "the next round begins with what is cheapest now"


def test_terms_that_cost_nothing_are_refused(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(max_power=100.0, eta_knob=0.5)
    trial = ledger.suggest().trial
    ledger.report(trial.trial_number, energy=0.0, time=5.0)
    before = ledger.job
    with pytest.raises(CostOutOfRange, match="below 1"):
        altered(ledger, eta_knob=1.0)
    assert ledger.job is before
    altered(ledger, eta_knob=0.99)


def test_without_results_only_the_terms_change(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    altered(ledger, eta_knob=0.2, beta_knob=None, window_size=7, max_epochs=3)
    job = ledger.job
    assert [getattr(job, name) for name in CHANGEABLE] == [0.2, None, 7, 3]
    assert job.registered == {"eta_knob": 1.0, "beta_knob": 2.0, "window_size": 0, "max_epochs": 10}
    assert (job.min_cost, job.min_cost_batch_size) == (None, 64)


def test_a_paused_job_trains_the_best_so_far_and_its_stream_stands_still(make_ledger: MakeLedger) -> None:
    ledger = trained(make_ledger)
    ledger.job = replace(ledger.job, is_paused=True)
    state = ledger.job.mab_random_generator_state
    best = max(ledger.arms.values(), key=lambda arm: arm.param_mean).batch_size
    suggested = ledger.suggest()
    assert (suggested.trial.batch_size, suggested.rationale.rule) == (best, "paused")
    assert ledger.job.mab_random_generator_state == state
    before = ledger.arms[best].num_observations
    ledger.report(suggested.trial.trial_number, energy=50.0)
    assert ledger.arms[best].num_observations == before + 1, "what it shows is learnt all the same"


def test_a_job_paused_in_the_pruning_stage_explores_nothing(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.run(float)
    ledger.job = replace(ledger.job, is_paused=True)
    assert [ledger.run(float).batch_size for _ in range(3)] == [64] * 3
    ledger.job = replace(ledger.job, is_paused=False)
    assert ledger.suggest().rationale.rule == "smaller"
