"""Failures in a row: what counts how much, and when a batch size is set aside."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import failures
from core.records import Failures, Job, Trial

MakeJob = Callable[..., Job]
MakeTrial = Callable[..., Trial]

NOW = datetime(2026, 3, 4, tzinfo=UTC)
WEIGHTS: dict[str | None, tuple[int, int]] = {
    "preempted": (0, 0),
    "unmeasured": (0, 0),
    "OutOfMemoryError": (3, 3),
    None: (3, 1),
    "lease_expired": (3, 1),
}
"""Thirds that a failure counts by its reason, without a report before it and with one."""


@pytest.mark.parametrize("reason", WEIGHTS)
def test_what_counts_how_much(make_trial: MakeTrial, reason: str | None) -> None:
    unheard, heard = (make_trial(failure_reason=reason, last_report=last) for last in (None, NOW))
    assert (failures.weight_of(unheard), failures.weight_of(heard)) == WEIGHTS[reason]


@given(
    limit=st.integers(1, 4),
    story=st.lists(st.tuples(st.sampled_from([*WEIGHTS, "success"]), st.booleans())),
)
def test_a_batch_size_is_set_aside_after_so_many_failures_in_a_row_and_stays_so(
    make_job: MakeJob, make_trial: MakeTrial, limit: int, story: list[tuple[str | None, bool]]
) -> None:
    job = make_job(max_failures=limit)
    thirds, is_aside = 0, False
    for what, has_reported in story:
        trial = make_trial(failure_reason=what, last_report=NOW if has_reported else None)
        if what == "success":
            job, thirds = failures.succeeded(job, trial), 0
        else:
            job = failures.failed(job, trial)
            thirds += WEIGHTS[what][has_reported]
        is_aside = is_aside or thirds >= 3 * limit
        assert failures.is_set_aside(job, trial.batch_size) is is_aside
        assert failures.usable(job, [32, 64, 128]) == ([32, 128] if is_aside else [32, 64, 128])


def test_what_was_dispatched_before_a_reset_counts_nothing(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job = make_job(reset_number=5, failures={64: Failures(2, None)})
    old = make_trial(trial_number=5)
    assert failures.failed(job, old) is job
    assert failures.succeeded(job, old) is job


def test_sentences_name_what_is_set_aside_and_why(make_job: MakeJob) -> None:
    job = make_job(job_id="a/b c", failures={64: Failures(9, "OutOfMemoryError"), 32: Failures(3, None)})
    assert "64 (OutOfMemoryError)" in failures.all_aside(job)
    assert "32" not in failures.described(job)
    assert "POST /api/v1/jobs/a%2Fb%20c/reset" in failures.all_aside(job)
    assert not failures.described(make_job())
    many = make_job(failures={size: Failures(9, None) for size in range(1, 15)})
    assert "4 more" in failures.described(many)
