"""What policy ``frugal`` makes of a report, and of other terms."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cost import cost_of
from core.errors import CostOutOfRange
from core.records import TrialStatus
from tests.core.recurring import COSTS, MakeFrugal, known, leader_of, proven, recur, seen


@settings(deadline=None, max_examples=60)
@given(
    said=st.lists(
        st.tuples(st.floats(1e-3, 1e6), st.sampled_from([0.1, 0.4, math.nan]), st.integers(1, 9)), max_size=8
    )
)
def test_without_a_beta_knob_no_training_is_stopped_early(
    make_frugal: MakeFrugal, said: list[tuple[float, float, int]]
) -> None:
    ledger = proven(make_frugal, beta_knob=None)
    for size in (8, 32):
        number = ledger.begin(size).trial_number
        for energy, metric, epoch in said:
            verdict = ledger.report(number, energy=energy, metric=metric, current_epoch=epoch).verdict
            assert (verdict.stop_train, verdict.message) == (False, "Stop condition not met, keep training")
        last = ledger.report(number, energy=1e6, metric=0.1, current_epoch=10).verdict
        assert last.message == "Train failed to converge within max_epoch(10)"


@settings(deadline=None, max_examples=60)
@given(energy=st.floats(1e-3, 1e99), size=st.sampled_from([8, 32]), epoch=st.integers(1, 2**31 - 1))
def test_a_training_that_has_reached_its_target_has_converged_whatever_it_cost(
    make_frugal: MakeFrugal, energy: float, size: int, epoch: int
) -> None:
    ledger = proven(make_frugal, beta_knob=0.5)
    number = ledger.begin(size).trial_number
    reported = ledger.report(number, energy=energy, metric=0.5, current_epoch=epoch)
    assert (reported.verdict.converged, reported.verdict.message) == (True, "Train succeeded")
    assert ledger.trials[number].converged
    assert ledger.findings() == []


def test_beyond_the_bound_a_training_is_stopped(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    leader = known(ledger).leader
    assert leader is not None
    number = ledger.begin(32).trial_number
    within = ledger.report(number, energy=2 * leader.cost, metric=0.1).verdict
    assert within.message == "Stop condition not met, keep training"
    beyond = ledger.report(number, energy=2 * leader.cost + 1, metric=0.1).verdict
    assert (beyond.stop_train, beyond.converged) == (True, False)
    assert "exceeded the cost upper bound" in beyond.message
    assert f"beta_knob(2.0)*cost({leader.cost}) of batch size 32" in beyond.message


def test_a_probe_that_is_not_worth_it_any_more_is_stopped_and_says_why(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    number = ledger.begin(8).trial_number
    verdict = ledger.report(number, energy=50.0, metric=0.05, current_epoch=1).verdict
    assert (verdict.stop_train, verdict.converged) == (True, False)
    assert verdict.message.startswith(
        "Batch Size(8) exceeded the cost upper bound: after current cost(50.0) "
    )
    assert "J more, and a training at batch size 32" in verdict.message
    assert seen(ledger, 8).bound is not None


@pytest.mark.parametrize("is_hopeless", [True, False])
def test_what_was_stopped_lowers_no_cost_and_makes_nothing_converge(
    make_frugal: MakeFrugal, is_hopeless: bool
) -> None:
    ledger = proven(make_frugal)
    said = {"energy": 50.0, "metric": 0.05} if is_hopeless else {"energy": 1.0, "current_epoch": 10}
    for _ in range(5):
        number = ledger.begin(8).trial_number
        assert ledger.report(number, **{"metric": 0.1} | said).verdict.stop_train
        assert seen(ledger, 8).successes == 0
        assert (ledger.job.min_cost, leader_of(ledger)) == (100.0, 32)
    assert seen(ledger, 8).results == ledger.arms[8].num_observations == 5
    assert ledger.findings() == []


@pytest.mark.parametrize("is_higher_better", [True, False])
@pytest.mark.parametrize("reached", [True, False])
def test_infinite_metrics_compare_as_numbers_and_nan_is_never_the_target(
    make_frugal: MakeFrugal, is_higher_better: bool, reached: bool
) -> None:
    ledger = make_frugal(higher_is_better_metric=is_higher_better)
    number = ledger.suggest().trial.trial_number
    assert not ledger.report(number, metric=math.nan).verdict.stop_train
    metric = math.inf if is_higher_better == reached else -math.inf
    assert ledger.report(number, metric=metric, current_epoch=2).verdict.converged == reached
    assert ledger.trials[number].curve is None, "they are no level of a learning curve"
    recur(ledger, COSTS, 5)
    assert ledger.findings() == []


ANY_REPORT = st.fixed_dictionaries(
    {
        "time": st.floats(5e-324, 1e100) | st.floats(1.0, 1e3),
        "energy": st.floats(0, 1e100) | st.floats(0.0, 1e3),
        "metric": st.floats() | st.floats(0, 1),
        "current_epoch": st.integers(1, 12) | st.integers(1, 2**31 - 1),
    }
)


@settings(deadline=None, max_examples=200)
@given(
    reports=st.lists(st.tuples(st.sampled_from([*COSTS]), ANY_REPORT), max_size=12),
    eta=st.sampled_from([0.0, 0.5, 1.0]),
    power=st.sampled_from([5e-324, 1e-200, 250.0, 1e100]),
)
def test_any_report_is_judged_and_learnt_from(
    make_frugal: MakeFrugal, reports: list[tuple[int, dict[str, Any]]], eta: float, power: float
) -> None:
    """Epochs that are skipped, go back or are far too many; quantities at the ends of what is a number."""
    ledger = make_frugal(eta_knob=eta, max_power=power)
    running: dict[int, int] = {}
    for size, said in reports:
        number = running.get(size) or ledger.begin(size).trial_number
        try:
            verdict = ledger.report(number, **said).verdict
        except CostOutOfRange:
            continue
        running[size] = 0 if verdict.stop_train else number
        ledger.suggest()
        assert ledger.findings() == []
        for arm in ledger.arms.values():
            assert math.isfinite(arm.param_mean)
            assert min(arm.param_precision, arm.reward_precision) > 0


def test_epochs_count_as_they_were_said(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    number = ledger.suggest().trial.trial_number
    for epoch, metric in ((3, 0.1), (2, 0.2), (7, 0.15), (5, 0.3)):
        ledger.report(number, metric=metric, current_epoch=epoch)
    ledger.report(number, metric=0.6, current_epoch=6)
    assert [*known(ledger).curves[32]] == [(3, 0.1), (2, 0.2), (5, 0.3), (6, 0.6)]
    assert (seen(ledger, 32).epochs, ledger.trials[number].epochs) == (6, 6)


@pytest.mark.parametrize(("eta", "energy"), [(0.0, 0.0), (0.5, 0.0), (1.0, 10.0), (0.0, 10.0)])
def test_time_or_energy_alone_may_count(make_frugal: MakeFrugal, eta: float, energy: float) -> None:
    ledger = make_frugal(eta_knob=eta)
    for _ in range(10):
        trial = ledger.suggest().trial
        ledger.report(trial.trial_number, time=trial.batch_size, energy=energy)
    assert known(ledger).leader is not None
    assert ledger.findings() == []


def test_what_costs_nothing_is_refused_and_the_trial_stays_open(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal(eta_knob=1.0)
    number = ledger.suggest().trial.trial_number
    with pytest.raises(CostOutOfRange, match="eta_knob"):
        ledger.report(number, energy=0.0)
    assert ledger.trials[number].status is TrialStatus.DISPATCHED
    assert ledger.report(number).verdict.converged


def test_an_eta_under_which_a_result_would_cost_nothing_is_refused(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal(eta_knob=0.5)
    ledger.run(lambda _: 0.0)
    before = ledger.job
    with pytest.raises(CostOutOfRange):
        ledger.change(eta_knob=1.0)
    assert ledger.job == before


RESULTS = st.lists(
    st.tuples(
        st.sampled_from([*COSTS]),
        st.floats(1.0, 100.0),
        st.floats(1.0, 1e4),
        st.integers(1, 9),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)


@settings(deadline=None, max_examples=100)
@given(results=RESULTS, before=st.floats(0, 1), after=st.floats(0, 1))
def test_a_job_whose_eta_changes_stands_as_if_it_had_always_had_that(
    make_frugal: MakeFrugal,
    results: list[tuple[int, float, float, int, bool]],
    before: float,
    after: float,
) -> None:
    changed = make_frugal(eta_knob=before, beta_knob=None)
    always = make_frugal(eta_knob=after, beta_knob=None)
    counts: Counter[int] = Counter()
    for size, time, energy, epochs, converges in results:
        counts[size] += 1
        if counts[size] > 4:  # from there on a result may be a drift under one of them
            continue
        for ledger in (changed, always):
            number = ledger.begin(size).trial_number
            said: dict[str, Any] = (
                {"metric": 0.5, "current_epoch": epochs}
                if converges
                else {"metric": 0.1, "current_epoch": 10}
            )
            ledger.report(number, time=time, energy=energy, **said)
    changed.change(eta_knob=after)
    assert changed.job.knowledge == always.job.knowledge
    assert changed.arms == always.arms
    assert changed.job.min_cost == always.job.min_cost
    assert changed.job.min_cost_batch_size == always.job.min_cost_batch_size
    for _ in range(3):
        asked, as_always = changed.suggest(), always.suggest()
        assert asked.rationale == as_always.rationale
        assert asked.trial == as_always.trial
    assert changed.job.mab_random_generator_state == always.job.mab_random_generator_state


def test_another_eta_has_another_leader(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal(eta_knob=1.0, max_power=100.0)
    for size, time, energy in ((16, 1.0, 200.0), (64, 4.0, 100.0)):
        ledger.report(ledger.begin(size).trial_number, time=time, energy=energy)
    for eta, best in ((1.0, 64), (0.0, 16), (1.0, 64)):
        ledger.change(eta_knob=eta)
        leader = known(ledger).leader
        assert leader is not None
        assert leader.batch_size == ledger.job.min_cost_batch_size == best
        for size, arm in ledger.arms.items():
            trial = next(trial for trial in ledger.trials.values() if trial.batch_size == size)
            cost = cost_of(ledger.job, trial.time or 0.0, trial.energy or 0.0)
            assert arm.param_mean == pytest.approx(-cost, rel=0.2)


def test_other_terms_leave_what_is_known_and_count_from_then_on(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    kept = ledger.job.knowledge
    ledger.change(max_epochs=3, beta_knob=None, window_size=4)
    assert ledger.job.knowledge == kept
    number = ledger.begin(8).trial_number
    assert not ledger.report(number, energy=1e5, metric=0.1, current_epoch=2).verdict.stop_train
    assert "max_epoch(3)" in ledger.report(number, metric=0.1, current_epoch=3).verdict.message
    ledger.change(beta_knob=5.0)
    number = ledger.begin(32).trial_number
    assert not ledger.report(number, energy=400.0, metric=0.1).verdict.stop_train
    assert "beta_knob(5.0)" in ledger.report(number, energy=600.0, metric=0.1).verdict.message
