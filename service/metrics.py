"""What the service counts of itself, for Prometheus.

The metrics are the process's own. Where several processes serve together, each keeps its figures in a file of
the folder that ``PROMETHEUS_MULTIPROC_DIR`` names before this module is imported, and any of them sums all.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core.leases import EXPIRED
from core.records import TrialStatus
from service.store.happening import Happening, Kind

__all__ = [
    "COMMANDS",
    "CONTENT_TYPE_LATEST",
    "LISTENERS",
    "REFUSALS",
    "REQUESTS",
    "RETRIES",
    "SECONDS",
    "TRANSACTIONS",
    "WAITING",
    "WAITS",
    "count",
    "exposition",
]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("batchbandit_requests", "Requests answered.", ["call", "status"])
SECONDS = Histogram(
    "batchbandit_request_seconds", "Seconds from a request to its answer.", ["call"], buckets=SECONDS_BOUNDS
)
REFUSALS = Counter("batchbandit_refused_requests", "Requests refused.", ["problem"])
LISTENERS = Gauge("batchbandit_event_listeners", "Open streams of events.", multiprocess_mode="livesum")
WAITS = Histogram(
    "batchbandit_commit_wait_seconds",
    "Seconds from a command to the begin of its transaction.",
    buckets=SECONDS_BOUNDS,
)
TRANSACTIONS = Histogram(
    "batchbandit_transaction_seconds",
    "Seconds of a transaction with its repetitions.",
    buckets=SECONDS_BOUNDS,
)
COMMANDS = Histogram(
    "batchbandit_transaction_commands",
    "Commands that a transaction carried out.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
RETRIES = Counter("batchbandit_transaction_retries", "Transactions that were begun again.")
WAITING = Gauge(
    "batchbandit_waiting_commands", "Commands that wait for a transaction.", multiprocess_mode="livesum"
)


DISPATCHED = Counter("batchbandit_trials_dispatched", "Trials dispatched.", ["rule", "type"])
ENDED = Counter("batchbandit_trials_ended", "Trials ended, and late results of those.", ["outcome"])
LEASES = Counter("batchbandit_leases_expired", "Trials whose leases ran out.")
SET_ASIDE = Counter("batchbandit_batch_sizes_set_aside", "Batch sizes set aside.")
DRIFTS = Counter("batchbandit_drifts", "Times that trainings of a job were found to cost something else.")
SAVED_JOULES = Counter("batchbandit_saved_joules", "Joules saved by trials that took less than usual.")
LOST_JOULES = Counter("batchbandit_lost_joules", "Joules lost by trials that took more than usual.")
SAVED_SECONDS = Counter("batchbandit_saved_seconds", "Seconds saved by trials that took less than usual.")
LOST_SECONDS = Counter("batchbandit_lost_seconds", "Seconds lost by trials that took more than usual.")

OUTCOMES = ("converged", "unconverged", "failed", "late_converged", "late_unconverged")
for outcome in OUTCOMES:  # so that their first is a rise from 0
    ENDED.labels(outcome)


def count(happenings: Iterable[Happening]) -> None:
    """Count what a transaction that has been committed made happen."""
    for happening in happenings:
        match happening.kind:
            case Kind.TRIAL_DISPATCHED:
                _child(DISPATCHED, happening.detail["rule"], happening.detail["type"]).inc()
            case Kind.TRIAL_ENDED:
                _count_end(happening.detail)
            case Kind.BATCH_SIZE_SET_ASIDE:
                SET_ASIDE.inc()
            case Kind.DRIFT_DETECTED:
                DRIFTS.inc()


def _count_end(detail: dict[str, Any]) -> None:
    _child(ENDED, outcome_of(detail)).inc()
    if detail["failure_reason"] == EXPIRED and not detail["is_late"]:
        LEASES.inc()
    _weigh(detail["saved_energy"], SAVED_JOULES, LOST_JOULES)
    _weigh(detail["saved_time"], SAVED_SECONDS, LOST_SECONDS)


def outcome_of(detail: dict[str, Any]) -> str:
    """Return what came of a trial, one of ``OUTCOMES``, from what is told of its end."""
    if detail["status"] == TrialStatus.FAILED:
        return "failed"
    late = "late_" if detail["is_late"] else ""
    return f"{late}converged" if detail["converged"] else f"{late}unconverged"


def _weigh(saved: float | None, gained: Counter, lost: Counter) -> None:
    """Count what was saved; counters only rise, so that what is less than nothing is another's."""
    if saved is not None:
        (gained if saved > 0 else lost).inc(abs(saved))


@cache
def _child(counter: Counter, *labels: str) -> Counter:
    return counter.labels(*labels)


def exposition(*others: Collector) -> bytes:
    """Return the figures of this process, or the sums of those that serve together, as Prometheus' text.

    ``others`` are figures that are not the processes' own.
    """
    together = CollectorRegistry()
    if FOLDER in os.environ:
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    else:
        together.register(REGISTRY)
    for other in others:
        together.register(other)
    try:
        return generate_latest(together)
    except FileNotFoundError:  # a worker that could not start has just deleted its figures
        return generate_latest(together)
