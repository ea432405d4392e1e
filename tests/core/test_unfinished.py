"""Trials that fail, run out of time or come back late, as decisions meet them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from core import failures, leases, trials
from core.change import started_over
from core.errors import NoBatchSizeLeft, TrialFailed
from core.records import Failures, Job, Stage, Trial, TrialStatus, TrialType

MakeLedger = Callable[..., Any]
NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
DAYS_LATER = NOW + timedelta(days=3)
ASIDE = Failures(9, "OutOfMemoryError")


def expire(ledger: Any, number: int) -> None:  # noqa: ANN401  (a fixture's)
    """Let the lease of a trial run out."""
    failed = leases.expired(ledger.trials[number])
    ledger.trials[number] = failed
    ledger.job = failures.failed(ledger.job, failed)


def fail(ledger: Any, number: int, reason: str | None = None) -> None:  # noqa: ANN401  (a fixture's)
    """End a trial without a result."""
    failed = replace(ledger.trials[number], status=TrialStatus.FAILED, failure_reason=reason)
    ledger.trials[number] = failed
    ledger.job = failures.failed(ledger.job, failed)


def test_a_dispatched_trial_holds_a_lease_and_its_job_knows(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    trial = ledger.suggest().trial
    assert trial.lease_expires >= NOW + timedelta(hours=24)
    assert ledger.job.next_expiry == trial.lease_expires


def test_expiry_fails_what_is_due_and_finds_the_next(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    for _ in range(3):
        ledger.suggest()
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(hours=30)
    ledger.trials[2] = replace(ledger.trials[2], lease_expires=soon)
    ledger.trials[3] = replace(ledger.trials[3], lease_expires=later)
    ledger.job = replace(ledger.job, next_expiry=soon)
    job, failed = ledger.decide(trials.expire(ledger.job, NOW + timedelta(hours=2)))
    assert [trial.trial_number for trial in failed] == [2]
    assert job.next_expiry == ledger.trials[1].lease_expires
    assert job.failures == {64: Failures(3, "lease_expired")}
    ledger.asked.clear()
    assert ledger.decide(trials.expire(job, NOW + timedelta(hours=3))) == (job, ())
    assert ledger.asked == [], "nothing is read before something may be due"


@pytest.mark.parametrize("size", [64, 32, 128])
def test_in_pruning_a_batch_size_that_is_set_aside_counts_as_not_converged(
    make_ledger: MakeLedger, size: int
) -> None:
    tried = []
    ledger = make_ledger(num_pruning_rounds=1, failures={size: ASIDE})
    while (suggested := ledger.suggest()).job.stage is Stage.PRUNING:
        tried.append(suggested.trial.batch_size)
        ledger.report(suggested.trial.trial_number, energy=100.0)
    assert tried == {64: [128], 32: [64, 128], 128: [64, 32]}[size]
    assert size not in ledger.arms


def test_failures_of_an_exploration_set_it_aside(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    for number in (1, 2, 3):
        assert ledger.suggest().trial.batch_size == 64
        fail(ledger, number, "OutOfMemoryError")
    assert ledger.suggest().trial.batch_size == 128


@pytest.mark.parametrize("reason", ["preempted", "unmeasured"])
def test_an_exploration_that_says_nothing_of_its_batch_size_is_explored_for_ever(
    make_ledger: MakeLedger, reason: str
) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    for number in range(1, 11):
        assert ledger.suggest().trial.batch_size == 64
        fail(ledger, number, reason)


def test_a_training_that_cannot_wait_does_not_get_what_is_set_aside(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=2)
    ledger.run({64: 100.0, 32: 200.0, 128: 300.0}.__getitem__)
    ledger.run({64: 100.0, 32: 200.0, 128: 300.0}.__getitem__)
    assert ledger.suggest().trial.batch_size == 128
    assert ledger.suggest().trial.batch_size == 64, "the cheapest so far"
    ledger.job = replace(ledger.job, failures={64: ASIDE})
    assert ledger.suggest().trial.batch_size == 32, "the cheapest that is left"
    ledger.job = replace(ledger.job, failures={64: ASIDE, 32: ASIDE})
    assert ledger.suggest().trial.batch_size == 128, "the smallest, none of those left having converged"
    ledger.job = replace(ledger.job, failures={64: ASIDE, 32: ASIDE, 128: ASIDE})
    with pytest.raises(NoBatchSizeLeft, match="/reset"):
        ledger.suggest()


def test_an_arm_that_is_set_aside_is_neither_permuted_nor_drawn(make_ledger: MakeLedger) -> None:
    costs = {32: 100.0, 64: 110.0, 128: 120.0}
    ledger = make_ledger(num_pruning_rounds=1, mab_num_explorations=4)
    ledger.reach_mab(costs.__getitem__)
    ledger.job = replace(ledger.job, failures={32: ASIDE})
    chosen = {ledger.run(costs.__getitem__).batch_size for _ in range(20)}
    assert chosen == {64, 128}
    ledger.job = replace(ledger.job, failures=dict.fromkeys(costs, ASIDE))
    with pytest.raises(NoBatchSizeLeft, match="every batch size"):
        ledger.suggest()


def test_a_report_after_the_lease_is_judged_and_kept(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    ledger.suggest()
    expire(ledger, 1)
    going = ledger.report(1, metric=0.1)
    assert "Stop condition not met, keep training" in going.verdict.message
    assert "late" in going.verdict.message
    assert ledger.trials[1].status is TrialStatus.FAILED, "a late report does not revive a trial"
    ended = ledger.report(1, metric=0.9)
    assert "Train succeeded" in ended.verdict.message
    assert "late" in ended.verdict.message
    assert (ended.trial.status, ended.trial.is_late, ended.trial.failure_reason) == ("Succeeded", True, None)
    assert ledger.job.failures == {}
    assert ledger.report(1).verdict.message == "Result for this trial(1) is already reported."


def test_a_trial_is_late_as_soon_as_its_lease_has_run_out(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    ledger.suggest()
    ledger.trials[1] = replace(ledger.trials[1], lease_expires=NOW)
    assert ledger.report(1, metric=0.9).trial.is_late


@pytest.mark.parametrize("newer", ["none", "running", "failed", "done"])
def test_a_late_exploration_counts_in_the_walk_only_if_its_batch_size_was_not_explored_anew(
    make_ledger: MakeLedger, newer: str
) -> None:
    ledger = make_ledger(num_pruning_rounds=2)
    ledger.suggest()
    expire(ledger, 1)
    if newer != "none":
        assert ledger.suggest().trial.type is TrialType.EXPLORATION
    if newer == "failed":
        fail(ledger, 2)
    if newer == "done":
        ledger.report(2, energy=500.0)
    late = ledger.report(1, energy=100.0).trial
    assert late.type is (TrialType.EXPLORATION if newer == "none" else TrialType.CONCURRENT)
    assert ledger.job.min_cost == 100.0, "its measurement is kept all the same"
    following = ledger.suggest().trial
    expected = {"none": 32, "running": 64, "failed": 64, "done": 32}[newer]
    assert following.batch_size == expected
    kind = TrialType.CONCURRENT if newer == "running" else TrialType.EXPLORATION
    assert following.type is kind


def test_a_late_result_teaches_its_arm(make_ledger: MakeLedger) -> None:
    costs = {32: 100.0, 64: 200.0, 128: 300.0}
    ledger = make_ledger(num_pruning_rounds=1)
    trial = ledger.reach_mab(costs.__getitem__).trial
    seen = ledger.arms[trial.batch_size].num_observations
    expire(ledger, trial.trial_number)
    ledger.report(trial.trial_number, energy=costs[trial.batch_size])
    assert ledger.arms[trial.batch_size].num_observations == seen + 1


def test_a_trial_that_was_ended_is_refused_with_the_reason(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    fail(ledger, 1, "OutOfMemoryError")
    with pytest.raises(TrialFailed, match="OutOfMemoryError"):
        ledger.report(1)


def test_a_long_gap_makes_the_leases_of_the_job_longer(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    ledger.trials[1] = replace(ledger.trials[1], start_timestamp=NOW - timedelta(hours=10))
    ledger.report(1, metric=0.1)
    assert ledger.job.longest_gap == 36_000.0
    assert ledger.suggest().trial.lease_expires >= NOW + timedelta(hours=30)


def test_a_clock_that_was_set_back_ends_no_trial_before_it_began(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    began = NOW + timedelta(hours=1)
    ledger.trials[1] = replace(ledger.trials[1], start_timestamp=began)
    assert ledger.report(1).trial.end_timestamp == began


def test_a_job_that_starts_over_knows_nothing_of_before(make_ledger: MakeLedger) -> None:
    costs = {32: 100.0, 64: 200.0, 128: 300.0}
    ledger = make_ledger(num_pruning_rounds=1)
    running = ledger.reach_mab(costs.__getitem__).trial
    before: Job = replace(ledger.job, failures={32: ASIDE})
    ledger.job = started_over(before, ledger.batch_sizes)
    ledger.arms.clear()
    assert (ledger.job.stage, ledger.job.min_cost, ledger.job.failures) == (Stage.PRUNING, None, {})
    assert ledger.job.mab_random_generator_state == before.mab_random_generator_state
    old: Trial = ledger.report(running.trial_number, energy=1.0).trial
    assert old.status is TrialStatus.SUCCEEDED
    assert ledger.job.min_cost is None, "a result from before is kept and does not count"


def test_the_walk_waits_for_what_runs_whatever_is_set_aside_meanwhile(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(num_pruning_rounds=1)
    ledger.run({64: 100.0}.__getitem__)
    exploring = ledger.suggest().trial
    assert (exploring.batch_size, exploring.type) == (32, TrialType.EXPLORATION)
    ledger.job = replace(ledger.job, failures={64: ASIDE})
    beside = ledger.suggest().trial
    assert beside.type is TrialType.CONCURRENT
    assert beside.batch_size in {32, 128}


def test_what_converged_in_rounds_that_are_over_survives_a_neighbour_that_is_set_aside(
    make_ledger: MakeLedger,
) -> None:
    costs = {32: 100.0, 64: 110.0, 128: 120.0}
    ledger = make_ledger(num_pruning_rounds=2)
    for _ in range(2):
        ledger.run(costs.__getitem__)
    failing = ledger.suggest().trial
    assert failing.batch_size == 128
    ledger.report(failing.trial_number, energy=120.0, metric=0.1, current_epoch=10)
    ledger.job = replace(ledger.job, failures={64: ASIDE})
    following = ledger.suggest().trial
    assert (following.batch_size, following.type) == (32, TrialType.EXPLORATION)
    ledger.report(following.trial_number, energy=100.0)
    assert ledger.suggest().job.stage is Stage.MAB
    assert list(ledger.arms) == [32]


def test_a_job_knows_of_a_lease_that_a_report_grants(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    # As a release before leases dispatched it, and as a clock that was set back since leaves it.
    for known in (None, NOW + timedelta(days=9)):
        ledger.trials[1] = replace(ledger.trials[1], lease_expires=known, last_report=None)
        ledger.job = replace(ledger.job, next_expiry=known)
        ledger.report(1, metric=0.1)
        assert ledger.job.next_expiry == ledger.trials[1].lease_expires
        assert ledger.job.next_expiry < NOW + timedelta(hours=25)


def test_a_failure_weighs_the_same_whoever_notices_first_that_the_lease_ran_out(
    make_ledger: MakeLedger,
) -> None:
    ledger = make_ledger()
    ledger.suggest()
    ledger.trials[1] = replace(ledger.trials[1], lease_expires=NOW)
    ledger.job = replace(ledger.job, next_expiry=NOW)
    ledger.report(1, metric=0.1)
    job, _ = ledger.decide(trials.expire(ledger.job, NOW))
    assert job.failures == {64: Failures(3, "lease_expired")}


def test_a_lease_that_ended_before_its_trial_began_by_a_clock_set_back_ends_with_it(
    make_ledger: MakeLedger,
) -> None:
    ledger = make_ledger()
    trial = ledger.suggest().trial
    early = replace(trial, lease_expires=NOW - timedelta(hours=1))
    assert leases.expired(early).end_timestamp == NOW
