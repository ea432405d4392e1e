"""What a report means: every way on, and every way to stop, in the phrases that clients look for."""

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CostOutOfRange
from core.records import Job, Report, Verdict
from core.verdict import judge

MakeJob = Callable[..., Job]
MakeReport = Callable[..., Report]

GO_ON = Verdict(stop_train=False, converged=False, message="Stop condition not met, keep training")
SUCCESS = Verdict(stop_train=True, converged=True, message="Train succeeded")
GIVE_UP = Verdict(stop_train=True, converged=False, message="Train failed to converge within max_epoch(10)")


def test_training_goes_on_while_nothing_stops_it(make_job: MakeJob, make_report: MakeReport) -> None:
    assert judge(make_job(), make_report(metric=0.4, current_epoch=9)) == GO_ON


@pytest.mark.parametrize(
    ("higher_is_better", "metric", "reached"),
    [
        (True, 0.5, True),
        (True, math.nextafter(0.5, 0), False),
        (True, math.inf, True),
        (True, -math.inf, False),
        (True, math.nan, False),
        (False, 0.5, True),
        (False, math.nextafter(0.5, 1), False),
        (False, -math.inf, True),
        (False, math.inf, False),
        (False, math.nan, False),
    ],
)
def test_the_target_is_reached_at_its_value_or_beyond_and_never_by_nan(
    make_job: MakeJob, make_report: MakeReport, *, higher_is_better: bool, metric: float, reached: bool
) -> None:
    job = make_job(higher_is_better_metric=higher_is_better)
    assert judge(job, make_report(metric=metric)) == (SUCCESS if reached else GO_ON)


@pytest.mark.parametrize("epoch", [10, 11, 2**31 - 1])
def test_the_last_epoch_ends_a_training_that_did_not_converge(
    make_job: MakeJob, make_report: MakeReport, epoch: int
) -> None:
    assert judge(make_job(), make_report(metric=0.4, current_epoch=epoch)) == GIVE_UP


def test_a_training_that_converges_in_its_last_epoch_has_succeeded(
    make_job: MakeJob, make_report: MakeReport
) -> None:
    assert judge(make_job(), make_report(current_epoch=10)) == SUCCESS


@pytest.mark.parametrize(("metric", "verdict"), [(0.4, GO_ON), (0.6, SUCCESS)])
def test_the_cost_bound_is_within_itself(
    make_job: MakeJob, make_report: MakeReport, metric: float, verdict: Verdict
) -> None:
    job = make_job(beta_knob=2.0, min_cost=50.0)
    assert judge(job, make_report(energy=100.0, metric=metric)) == verdict


@pytest.mark.parametrize("metric", [0.4, 0.6, math.nan])
@pytest.mark.parametrize("epoch", [1, 10])
def test_beyond_the_cost_bound_a_training_stops_and_has_not_converged(
    make_job: MakeJob, make_report: MakeReport, metric: float, epoch: int
) -> None:
    job = make_job(beta_knob=2.0, min_cost=50.0)
    energy = math.nextafter(100.0, math.inf)
    verdict = judge(job, make_report(batch_size=32, energy=energy, metric=metric, current_epoch=epoch))
    assert (verdict.stop_train, verdict.converged) == (True, False)
    assert re.search(
        r"^Batch Size\(32\) exceeded the cost upper bound: "
        rf"current cost\({energy}\) > beta_knob\(2\.0\)\*min_cost\(50\.0\)$",
        verdict.message,
    )


@pytest.mark.parametrize("knobs", [{"beta_knob": None, "min_cost": 1e-9}, {"beta_knob": 1e-9}])
def test_there_is_no_cost_bound_without_beta_knob_or_without_min_cost(
    make_job: MakeJob, make_report: MakeReport, knobs: dict[str, float | None]
) -> None:
    assert judge(make_job(**knobs), make_report(energy=1e99, metric=0.4)) == GO_ON
    assert judge(make_job(**knobs), make_report(energy=1e99)) == SUCCESS


def test_a_bound_that_overflows_bounds_nothing(make_job: MakeJob, make_report: MakeReport) -> None:
    job = make_job(beta_knob=1e300, min_cost=1e100)
    assert judge(job, make_report(energy=1e100, metric=0.4)) == GO_ON


@pytest.mark.parametrize("energy", [0.0, 1e101])
def test_a_cost_out_of_range_is_refused_whatever_else_the_report_says(
    make_job: MakeJob, make_report: MakeReport, energy: float
) -> None:
    with pytest.raises(CostOutOfRange):
        judge(make_job(), make_report(energy=energy))


knobs_of_a_verdict = st.fixed_dictionaries(
    {
        "higher_is_better_metric": st.booleans(),
        "target_metric": st.floats(allow_nan=False, allow_infinity=False),
        "min_cost": st.none() | st.floats(1e-3, 1e3),
        "beta_knob": st.none() | st.floats(1e-2, 1e2),
    }
)


@settings(deadline=None, max_examples=200)
@given(knobs=knobs_of_a_verdict, metric=st.floats(), cost=st.floats(1e-3, 1e3), epoch=st.integers(1, 20))
def test_a_training_stops_exactly_when_a_rule_says_so(
    make_job: MakeJob,
    make_report: MakeReport,
    knobs: dict[str, float | None],
    metric: float,
    cost: float,
    epoch: int,
) -> None:
    job = make_job(**knobs)
    verdict = judge(job, make_report(energy=cost, metric=metric, current_epoch=epoch))

    reached = metric >= job.target_metric if job.higher_is_better_metric else metric <= job.target_metric
    too_dear = job.beta_knob is not None and job.min_cost is not None and cost > job.beta_knob * job.min_cost
    assert verdict.stop_train == (too_dear or reached or epoch >= job.max_epochs)
    assert verdict.converged == (reached and not too_dear)
