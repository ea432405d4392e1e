"""Trials at batch sizes that trainings have chosen by themselves: beside the walk and the draws."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core import failures
from core.errors import UnknownBatchSize
from core.records import Failures, Stage, TrialStatus, TrialType

if TYPE_CHECKING:
    from tests.core.conftest import Ledger

MakeLedger = Callable[..., "Ledger"]

COSTS = {32: 100.0, 64: 110.0, 128: 105.0}


def test_it_is_concurrent_in_both_stages_and_takes_no_random_number(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    for stage in Stage:
        before = ledger.job
        trial = ledger.begin(128)
        assert before.stage is stage
        assert (trial.type, trial.status) == (TrialType.CONCURRENT, TrialStatus.DISPATCHED)
        assert trial.trial_number == before.last_trial_number + 1 == ledger.job.last_trial_number
        assert ledger.job.next_expiry is not None
        assert trial.lease_expires is not None
        assert ledger.job.next_expiry <= trial.lease_expires
        assert ledger.job.mab_random_generator_state == before.mab_random_generator_state
        ledger.reach_mab(COSTS.__getitem__)


def test_a_batch_size_of_another_job_is_refused(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    before = ledger.job
    with pytest.raises(UnknownBatchSize, match="got 48"):
        ledger.begin(48)
    assert ledger.job is before


@settings(deadline=None, max_examples=50)
@given(begun=st.lists(st.lists(st.sampled_from(list(COSTS)), max_size=2), min_size=14, max_size=14))
def test_what_is_chosen_does_not_depend_on_trials_without_a_result(
    make_ledger: MakeLedger, begun: list[list[int]]
) -> None:
    plain, joined = make_ledger(), make_ledger()
    for sizes in begun:
        for size in sizes:
            joined.begin(size)
        one, other = plain.run(COSTS.__getitem__), joined.run(COSTS.__getitem__)
        assert (other.batch_size, other.type) == (one.batch_size, one.type)
    assert joined.job.mab_random_generator_state == plain.job.mab_random_generator_state


def test_in_pruning_its_result_can_be_the_lowest_cost_and_is_no_exploration(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    ledger.report(ledger.begin(128).trial_number, energy=50.0)
    assert (ledger.job.min_cost, ledger.job.min_cost_batch_size) == (50.0, 128)
    tried = [ledger.run(COSTS.__getitem__, metric=0.1, current_epoch=10).batch_size]
    assert tried == [64]
    assert ledger.suggest().trial.batch_size == 128, "it is explored all the same"


def test_in_the_bandit_its_arm_learns_from_it(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    ledger.reach_mab(COSTS.__getitem__)
    before = ledger.arms[32]
    ledger.report(ledger.begin(32).trial_number, energy=120.0)
    after = ledger.arms[32]
    assert after.num_observations == before.num_observations + 1
    assert after.param_mean == -110.0


def test_one_without_an_arm_is_recorded_alone(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    while ledger.suggest().job.stage is Stage.PRUNING:
        number = ledger.job.last_trial_number
        ledger.report(number, metric=0.9 if ledger.trials[number].batch_size == 64 else 0.1, current_epoch=10)
    assert list(ledger.arms) == [64]
    reported = ledger.report(ledger.begin(128).trial_number, energy=50.0)
    assert reported.trial is not None
    assert reported.trial.status is TrialStatus.SUCCEEDED
    assert reported.arms == ()
    assert ledger.job.min_cost == 50.0


def test_a_success_ends_a_row_of_failures_and_what_is_set_aside_stays_so(make_ledger: MakeLedger) -> None:
    seen = {32: Failures(6, None), 64: Failures(9, "OutOfMemoryError")}
    ledger = make_ledger(failures=seen)
    for size in seen:
        assert ledger.report(ledger.begin(size).trial_number).verdict.converged
    assert ledger.job.failures == {64: seen[64]}
    assert failures.is_set_aside(ledger.job, 64)


def test_one_of_before_a_reset_changes_nothing(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    trial = ledger.begin(32)
    ledger.job = replace(ledger.job, reset_number=ledger.job.last_trial_number)
    ledger.report(trial.trial_number, energy=50.0)
    assert ledger.job.min_cost is None
