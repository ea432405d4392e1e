"""Leases of running trials: their terms, what renews them, and what running out means."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import leases
from core.records import Job, Trial, TrialStatus

MakeJob = Callable[..., Job]
MakeTrial = Callable[..., Trial]

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = 3600.0


def seconds_left(trial: Trial, now: datetime = NOW) -> float:
    """Return for how many seconds a trial's lease goes on."""
    assert trial.lease_expires is not None
    return (trial.lease_expires - now).total_seconds()


def after(seconds: float) -> datetime:
    """Return a time so much later."""
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("gap", "has_heartbeat", "term"),
    [
        (0.0, False, 24 * HOUR),
        (7 * HOUR, False, 24 * HOUR),
        (10 * HOUR, False, 30 * HOUR),
        (10 * HOUR, True, 600.0),
    ],
)
def test_the_term_is_a_day_or_three_gaps_until_a_heartbeat_comes(
    make_job: MakeJob, make_trial: MakeTrial, gap: float, term: float, *, has_heartbeat: bool
) -> None:
    trial = make_trial(has_heartbeat=has_heartbeat)
    assert leases.term_of(make_job(longest_gap=gap), trial) == term


def test_a_job_without_lease_seconds_has_no_leases(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job = make_job(lease_seconds=None)
    trial = leases.granted(job, make_trial(), NOW)
    assert trial.lease_expires is None
    assert leases.beaten(job, trial, after(1)).lease_expires is None
    assert not leases.has_expired(trial, after(1e9))
    assert leases.watched(job, trial) is job


def test_the_first_heartbeat_shortens_the_lease(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job = make_job(lease_seconds=60.0)
    trial = leases.granted(job, make_trial(), NOW)
    assert seconds_left(trial) >= 24 * HOUR
    beaten = leases.beaten(job, trial, NOW)
    assert 60 <= seconds_left(beaten) <= 61
    watched = leases.watched(leases.watched(job, trial), beaten)
    assert watched.next_expiry == beaten.lease_expires


@given(
    term=st.floats(1.0, 1e6),
    gaps=st.lists(st.tuples(st.floats(0, 1.0), st.booleans()), max_size=30),
)
def test_after_each_sign_of_life_a_lease_lasts_its_term_and_hardly_longer(
    make_job: MakeJob, make_trial: MakeTrial, term: float, gaps: list[tuple[float, bool]]
) -> None:
    job = make_job(lease_seconds=term)
    now = NOW
    trial = leases.beaten(job, leases.granted(job, make_trial(start_timestamp=now), now), now)
    for part, is_report in gaps:
        now += timedelta(seconds=part * term)
        trial = (leases.reported if is_report else leases.beaten)(job, trial, now)
        assert term - 1e-3 <= seconds_left(trial, now) <= term * (1 + leases.SLACK) + 1e-3


def test_a_sign_of_life_soon_after_another_changes_nothing(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job = make_job()
    trial = leases.reported(job, leases.granted(job, make_trial(), NOW), NOW)
    assert leases.reported(job, trial, after(60)) is trial
    beaten = leases.beaten(job, trial, NOW)
    assert leases.beaten(job, beaten, after(1)) is beaten


def test_a_lease_runs_out_at_its_end_and_only_a_running_trial_holds_one(make_trial: MakeTrial) -> None:
    trial = make_trial(start_timestamp=NOW, lease_expires=NOW)
    assert not leases.has_expired(trial, after(-1e-6))
    assert leases.has_expired(trial, NOW)
    failed = leases.expired(trial)
    assert (failed.status, failed.failure_reason) == (TrialStatus.FAILED, "lease_expired")
    assert failed.end_timestamp == NOW
    assert not leases.has_expired(failed, after(1))


def test_a_gap_counts_once_it_makes_leases_longer(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job, trial = make_job(), make_trial(start_timestamp=NOW)
    assert leases.with_gap(job, trial, after(7.9 * HOUR)) is job
    longer = leases.with_gap(job, trial, after(9 * HOUR))
    assert longer.longest_gap == 9 * HOUR
    reported = make_trial(start_timestamp=NOW, last_report=after(5 * HOUR))
    assert leases.with_gap(job, reported, after(9 * HOUR)) is job
    assert leases.with_gap(longer, trial, after(8.5 * HOUR)) is longer
