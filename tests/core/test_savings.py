"""What is saved is what the default would have taken, less what was spent."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cost import cost_of
from core.records import Job, Trial, TrialStatus
from core.savings import counted, saved_by, savings_of

MakeJob = Callable[..., Job]
MakeTrial = Callable[..., Trial]

NOW = datetime(2026, 3, 5, tzinfo=UTC)

Result = tuple[int, float, float, bool]
results = st.tuples(st.sampled_from([32, 64, 128]), st.floats(1, 1e6), st.floats(0, 1e9), st.booleans())


def ended(make_trial: MakeTrial, result: Result) -> Trial:
    batch_size, time, energy, converged = result
    return make_trial(batch_size=batch_size, time=time, energy=energy, converged=converged)


@given(trained=st.lists(results, max_size=12), failures=st.integers(0, 3))
def test_savings_are_the_defaults_share_less_all_that_was_spent(
    make_job: MakeJob, make_trial: MakeTrial, trained: list[Result], failures: int
) -> None:
    job = make_job(eta_knob=0.3)
    for result in trained:
        job = counted(job, make_trial(), ended(make_trial, result), NOW)
    for _ in range(failures):
        job = counted(job, make_trial(), make_trial(status=TrialStatus.FAILED), NOW)
    usual = [result for result in trained if result[0] == 64 and result[3]]
    saved = savings_of(job)
    assert (job.num_converged + job.num_unconverged, job.num_failed) == (len(trained), failures)
    if not usual:
        assert saved is None
        return
    assert saved is not None
    converged = sum(result[3] for result in trained)
    for got, place in ((saved.time, 1), (saved.energy, 2)):
        mean = sum(float(result[place]) for result in usual) / len(usual)
        spent = sum(float(result[place]) for result in trained)
        assert got == pytest.approx(converged * mean - spent, rel=1e-9, abs=1e-9 * (spent + converged * mean))
    assert saved.cost == cost_of(job, saved.time, saved.energy)


def test_a_result_after_a_failure_counts_once(make_job: MakeJob, make_trial: MakeTrial) -> None:
    failed = make_trial(status=TrialStatus.FAILED)
    job = counted(make_job(), make_trial(), failed, NOW)
    job = counted(job, failed, ended(make_trial, (64, 10.0, 5.0, True)), NOW)
    assert (job.num_failed, job.num_converged, job.spent_time, job.spent_energy) == (0, 1, 10.0, 5.0)


def test_what_one_training_saves_is_known_once_the_default_is(
    make_job: MakeJob, make_trial: MakeTrial
) -> None:
    fast = ended(make_trial, (128, 4.0, 50.0, True))
    assert saved_by(make_job(), fast) is None
    job = counted(make_job(), make_trial(), ended(make_trial, (64, 10.0, 80.0, True)), NOW)
    assert saved_by(job, fast) == (6.0, 30.0)
    assert saved_by(job, ended(make_trial, (128, 4.0, 50.0, False))) == (-4.0, -50.0)
    assert saved_by(job, make_trial(status=TrialStatus.FAILED)) is None
