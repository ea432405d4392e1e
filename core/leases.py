"""Leases: how long a running trial may say nothing before it counts as failed."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from core.records import Job, Trial, TrialStatus

EXPIRED = "lease_expired"
"""The reason why a trial failed whose lease ran out."""
SILENT_SECONDS = 24 * 3600.0
"""The term of trainings that send no heartbeats, unless their job's reports lie far apart."""
GAPS = 3
"""How many of its job's longest gaps between reports such a training may say nothing."""
SLACK = 0.01
"""How much longer than its term a lease is granted, so that not every sign of life has to be written."""


def term_of(job: Job, trial: Trial) -> float | None:
    """Return for how many seconds a sign of life is enough, None where the job wants no leases."""
    if job.lease_seconds is None:
        return None
    return job.lease_seconds if trial.has_heartbeat else max(SILENT_SECONDS, GAPS * job.longest_gap)


def granted(job: Job, trial: Trial, now: datetime) -> Trial:
    """Return a trial with a lease that begins now."""
    term = term_of(job, trial)
    expires = None if term is None else now + timedelta(seconds=term * (1 + SLACK))
    return replace(trial, lease_expires=expires)


def watched(job: Job, trial: Trial) -> Job:
    """Return a job that knows of a running trial's lease."""
    expires = trial.lease_expires if trial.status is TrialStatus.DISPATCHED else None
    if expires is None or (job.next_expiry is not None and job.next_expiry <= expires):
        return job
    return replace(job, next_expiry=expires)


def has_expired(trial: Trial, now: datetime) -> bool:
    """Tell whether a running trial's lease has run out."""
    is_running = trial.status is TrialStatus.DISPATCHED
    return is_running and trial.lease_expires is not None and trial.lease_expires <= now


def expired(trial: Trial) -> Trial:
    """Return a trial as it is once its lease has run out, whenever that is noticed."""
    ended = max(trial.lease_expires or trial.start_timestamp, trial.start_timestamp)
    return replace(trial, status=TrialStatus.FAILED, end_timestamp=ended, failure_reason=EXPIRED)


def beaten(job: Job, trial: Trial, now: datetime) -> Trial:
    """Return a running trial after a heartbeat, itself where its lease is long enough yet.

    The first heartbeat shortens the lease.
    """
    if not trial.has_heartbeat:
        return granted(job, replace(trial, has_heartbeat=True), now)
    return granted(job, trial, now) if _is_short(job, trial, now) else trial


def reported(job: Job, trial: Trial, now: datetime) -> Trial:
    """Return a running trial after a report, itself where its lease is long enough yet."""
    if trial.last_report is None or _is_short(job, trial, now):
        return replace(granted(job, trial, now), last_report=now)
    return trial


def _is_short(job: Job, trial: Trial, now: datetime) -> bool:
    term = term_of(job, trial)
    if term is None or trial.lease_expires is None:
        return trial.lease_expires is not None
    return trial.lease_expires - now < timedelta(seconds=term)


def with_gap(job: Job, trial: Trial, now: datetime) -> Job:
    """Return a job that knows how long a trial has said nothing, where that makes leases longer."""
    gap = (now - (trial.last_report or trial.start_timestamp)).total_seconds()
    is_longest = gap > max(job.longest_gap, SILENT_SECONDS / GAPS)
    return replace(job, longest_gap=gap) if is_longest and job.lease_seconds is not None else job
