"""What the service counts of itself, for Prometheus.

The metrics are the process's own. Where several processes serve together, each keeps its figures in a file of
the folder that ``PROMETHEUS_MULTIPROC_DIR`` names before this module is imported, and any of them sums all.
"""

import os
from collections.abc import Iterable

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

from service.store.happening import Happening

__all__ = ["COMMANDS", "CONTENT_TYPE_LATEST", "REQUESTS", "RETRIES", "SECONDS", "TRANSACTIONS", "WAITING"]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("batchbandit_requests", "Requests answered.", ["call", "status"])
SECONDS = Histogram(
    "batchbandit_request_seconds", "Seconds from a request to its answer.", ["call"], buckets=SECONDS_BOUNDS
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


def exposition() -> bytes:
    """Return the figures of this process, or the sums of those that serve together, as Prometheus' text."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    try:
        return generate_latest(together)
    except FileNotFoundError:  # a worker that could not start has just deleted its figures
        return generate_latest(together)


def count(happenings: Iterable[Happening]) -> None:
    """Count what has happened."""
