"""Reports under the policy ``zeus``: what ends a trial, and what the job learns from it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.errors import CostOutOfRange, TrialFailed
from core.needs import Results, RunningSums
from core.records import Arm, Stage, Trial, TrialStatus, TrialType

if TYPE_CHECKING:
    from tests.core.conftest import Ledger

MakeLedger = Callable[..., "Ledger"]
MakeTrial = Callable[..., Trial]
MakeMab = Callable[..., "Ledger"]

# The refits that the windows are tried on: each order of these costs gives another last bit.
COSTS = [2.0**53, 1.0, 3.0, 5.0]
NEW = 7.0


def posterior_of(
    costs: Sequence[float], prior_mean: float = 0.0, prior_precision: float = 0.0
) -> list[float]:
    """Return posterior mean, its precision and the precision of a reward, as NumPy computes them."""
    rewards = -np.array(costs)
    if np.var(rewards) == 0:
        return [float(np.mean(rewards)), np.inf, np.inf]
    reward_precision = np.reciprocal(np.var(rewards))
    precision = prior_precision + len(rewards) * reward_precision
    mean = (prior_precision * prior_mean + reward_precision * np.sum(rewards)) / precision
    return [float(mean), float(precision), float(reward_precision)]


def numbers_of(arm: Arm) -> list[float]:
    return [arm.param_mean, arm.param_precision, arm.reward_precision]


@pytest.fixture(scope="session")
def make_mab(make_ledger: MakeLedger, make_trial: MakeTrial) -> MakeMab:
    """Return a maker of ledgers in the MAB stage, whose batch size 64 has results of these costs.

    The results are of all types, converged or not; between them stand trials of another batch size. The
    newest trial is a Dispatched one of batch size 64.
    """

    def make(costs: Sequence[float], **changes: object) -> "Ledger":
        ledger = make_ledger(**{"stage": Stage.MAB, "beta_knob": None} | changes)
        ledger.arms = {
            size: Arm(
                job_id=ledger.job.job_id,
                batch_size=size,
                param_mean=0.0,
                param_precision=1.0,
                reward_precision=1.0,
                num_observations=1,
            )
            for size in (32, 64)
        }
        for index, cost in enumerate(costs):
            number, type_ = 2 * index + 1, list(TrialType)[index % 3]
            ledger.trials[number] = make_trial(
                trial_number=number, energy=cost, type=type_, converged=index % 2 == 0
            )
            ledger.trials[number + 1] = make_trial(trial_number=number + 1, batch_size=32, energy=1e9)
        newest = 2 * len(costs) + 1
        ledger.trials[newest] = make_trial(trial_number=newest, type=TrialType.MAB)
        ledger.job = replace(ledger.job, last_trial_number=newest)
        return ledger

    return make


def test_after_the_first_a_report_that_goes_on_changes_nothing_and_reads_nothing(make_mab: MakeMab) -> None:
    ledger = make_mab(COSTS)
    first = ledger.report(9, metric=0.0)
    before = ledger.job
    second = ledger.report(9, metric=0.0)
    assert first.trial is not None
    assert first.trial.last_report is not None
    assert (second.verdict.stop_train, second.trial, second.arms) == (False, None, ())
    assert ledger.job is before
    assert ledger.asked == []


@pytest.mark.parametrize(("metric", "converged"), [(0.9, True), (0.1, False)])
def test_a_trial_that_stops_has_succeeded_with_what_it_measured(
    make_ledger: MakeLedger, metric: float, *, converged: bool
) -> None:
    ledger = make_ledger()
    dispatched = ledger.suggest().trial
    ended = ledger.report(1, time=2.5, energy=100.0, metric=metric, current_epoch=10).trial
    assert ended == replace(
        dispatched,
        status=TrialStatus.SUCCEEDED,
        end_timestamp=dispatched.start_timestamp,
        time=2.5,
        energy=100.0,
        converged=converged,
        epochs=10,
    )


@pytest.mark.parametrize("metric", [0.9, 0.1])
def test_a_repeated_report_gets_the_stored_result_and_changes_nothing(
    make_mab: MakeMab, metric: float
) -> None:
    ledger = make_mab(COSTS)
    first = ledger.report(9, metric=metric, current_epoch=10)
    ledger.asked.clear()
    again = ledger.report(9, energy=0.0, metric=1.0 - metric, current_epoch=1)
    assert again.verdict.message == "Result for this trial(9) is already reported."
    assert (again.verdict.stop_train, again.verdict.converged) == (True, first.verdict.converged)
    assert (again.trial, again.job, again.arms) == (None, None, ())
    assert ledger.asked == []


def test_a_report_for_a_failed_trial_is_refused_with_what_to_do(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    ledger.fail(1)
    with pytest.raises(TrialFailed, match=r"^Trial\(1\) of job\(resnet-1\) has failed: .*\. Ask for a new"):
        ledger.report(1)


def test_a_report_without_a_cost_leaves_the_trial_open(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    with pytest.raises(CostOutOfRange):
        ledger.report(1, energy=0.0)
    assert ledger.report(1, energy=100.0).verdict.converged


def test_only_converged_trials_lower_the_minimum_cost(make_ledger: MakeLedger) -> None:
    ledger = make_ledger((32, 64, 128), min_cost=None)

    def minimum_after(batch_size: int, **said: object) -> tuple[float | None, int]:
        trial = ledger.suggest().trial
        assert trial.batch_size == batch_size
        ledger.report(trial.trial_number, **said)
        return ledger.job.min_cost, ledger.job.min_cost_batch_size

    assert minimum_after(64, energy=100.0) == (100.0, 64)
    assert minimum_after(32, energy=10.0, metric=0.0, current_epoch=10) == (100.0, 64)
    assert minimum_after(128, energy=150.0) == (100.0, 64)
    assert minimum_after(64, energy=100.0) == (100.0, 64)
    assert minimum_after(128, energy=90.0) == (90.0, 128)
    assert ledger.suggest().trial.type is TrialType.MAB


def test_an_early_stop_neither_converges_nor_counts_towards_the_minimum(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(beta_knob=0.5, min_cost=100.0)
    ledger.suggest()
    reported = ledger.report(1, energy=50.5)
    assert "exceeded the cost upper bound" in reported.verdict.message
    assert reported.trial is not None
    assert (reported.trial.status, reported.trial.converged) == (TrialStatus.SUCCEEDED, False)
    assert ledger.job.min_cost == 100.0


def test_an_equal_cost_leaves_the_minimum_with_the_first(make_mab: MakeMab) -> None:
    ledger = make_mab([], min_cost=100.0, min_cost_batch_size=32)
    ledger.report(1, energy=100.0)
    assert (ledger.job.min_cost, ledger.job.min_cost_batch_size) == (100.0, 32)


@pytest.mark.parametrize(
    ("window_size", "order"),
    [
        (0, [5.0, 3.0, 1.0, 2.0**53, NEW]),
        (-1, [5.0, 3.0, 1.0, 2.0**53, NEW]),
        (5, [5.0, 3.0, 1.0, 2.0**53, NEW]),
        (4, [1.0, 3.0, 5.0, NEW]),
        (3, [3.0, 5.0, NEW]),
        (2, [5.0, NEW]),
        (1, [NEW]),
    ],
)
def test_a_refit_takes_the_results_of_its_window_in_the_references_order(
    make_mab: MakeMab, window_size: int, order: list[float]
) -> None:
    ledger = make_mab(COSTS, window_size=window_size, mab_prior_mean=-3.0, mab_prior_precision=0.125)
    [(arm, _)] = ledger.report(9, energy=NEW).arms
    assert numbers_of(arm) == posterior_of(order, -3.0, 0.125)
    assert arm == ledger.arms[64]
    assert arm.num_observations == len(order)
    assert Results(ledger.job.job_id, 64, max(window_size, 0)) in ledger.asked


def test_the_order_of_a_refit_matters_to_the_last_bit() -> None:
    assert posterior_of([*reversed(COSTS), NEW]) != posterior_of([*COSTS, NEW])


@settings(deadline=None, max_examples=100)
@given(
    costs=st.lists(st.floats(1e-3, 1e9), max_size=20),
    new=st.floats(1e-3, 1e9),
    window_size=st.integers(0, 22),
    prior_mean=st.floats(-1e6, 0),
    prior_precision=st.floats(0, 10),
)
def test_a_refit_equals_numpy_bit_for_bit(
    make_mab: MakeMab,
    costs: list[float],
    new: float,
    window_size: int,
    prior_mean: float,
    prior_precision: float,
) -> None:
    ledger = make_mab(
        costs, window_size=window_size, mab_prior_mean=prior_mean, mab_prior_precision=prior_precision
    )
    order = [*costs[::-1], new]
    if 0 < window_size <= len(costs):
        order = [*costs, new][-window_size:]
    [(arm, _)] = ledger.report(2 * len(costs) + 1, energy=new).arms
    assert numbers_of(arm) == posterior_of(order, prior_mean, prior_precision)


def test_up_to_256_results_an_arm_is_refitted_and_from_then_on_lives_on_sums(make_mab: MakeMab) -> None:
    costs = [100.0 + number % 7 for number in range(255)]
    ledger = make_mab(costs)
    exact = ledger.report(511, energy=103.0)
    [(arm, sums)] = exact.arms
    assert numbers_of(arm) == posterior_of([*reversed(costs), 103.0])
    assert sums is None

    costs.append(103.0)
    for cost in (101.0, 99.0, 107.0):
        costs.append(cost)
        ledger.asked.clear()
        number = ledger.suggest().trial.trial_number
        ledger.trials[number] = replace(ledger.trials[number], batch_size=64)
        [(arm, _)] = ledger.report(number, energy=cost).arms
        assert numbers_of(arm) == pytest.approx(posterior_of(costs), rel=1e-12)
        assert ledger.arms[64].num_observations == ledger.sums[64].num_results == len(costs)
        # The history is read once, to sum it, and never again.
        results = [need for need in ledger.asked if isinstance(need, Results)]
        assert len(results) == (1 if len(costs) == 257 else 0)


def test_a_window_is_refitted_exactly_however_many_results_it_holds(make_mab: MakeMab) -> None:
    costs = [100.0 + number % 7 for number in range(400)]
    ledger = make_mab(costs, window_size=300)
    ledger.arms[64] = replace(ledger.arms[64], num_observations=300)
    reported = ledger.report(801, energy=103.0)
    [(arm, sums)] = reported.arms
    assert numbers_of(arm) == posterior_of([*costs[101:], 103.0])
    assert sums is None
    assert not [need for need in ledger.asked if isinstance(need, RunningSums)]


@pytest.mark.parametrize("type_", [TrialType.EXPLORATION, TrialType.CONCURRENT])
def test_a_trial_of_the_pruning_stage_that_reports_later_teaches_its_arm(
    make_mab: MakeMab, make_trial: MakeTrial, type_: TrialType
) -> None:
    ledger = make_mab([100.0, 110.0])
    ledger.trials[2] = make_trial(trial_number=2, type=type_)
    reported = ledger.report(2, energy=130.0)
    [(arm, _)] = reported.arms
    assert numbers_of(arm) == posterior_of([110.0, 100.0, 130.0])
    assert ledger.job.min_cost == 130.0


def test_a_late_trial_of_a_pruned_batch_size_is_merely_recorded(
    make_mab: MakeMab, make_trial: MakeTrial
) -> None:
    ledger = make_mab([100.0])
    ledger.trials[2] = make_trial(trial_number=2, batch_size=128, type=TrialType.CONCURRENT)
    reported = ledger.report(2, energy=130.0)
    assert reported.verdict.converged
    assert reported.arms == ()
    assert ledger.trials[2].energy == 130.0
    assert 128 not in ledger.arms


def test_a_trial_that_ends_in_the_pruning_stage_fits_no_arm(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    ledger.suggest()
    ledger.asked.clear()
    assert ledger.report(1).arms == ()
    assert ledger.asked == []
