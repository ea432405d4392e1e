"""A day of load in minutes: memory and open files stay where they were."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.load import register, run_load
from benchmarks.memory import resident
from tests.faults.harness import LONG, Row, Service, counted, serving, wait_until

JOBS = 10_000 if LONG else 300
CALLS = JOBS * 24 * 6 if LONG else 8_000
"""In the long form, what 10,000 jobs send in 24 h, each every ten minutes; as fast as it is answered."""
ROUND_SECONDS = 10.0 if LONG else 0.5
LEAST_ROUNDS = 8
CONNECTIONS = 64
POOL = 4
"""Connections to Postgres that may be open or not."""
GROWTH = 1.05
"""What memory may grow by once a quarter of the day is over: an allocator's own."""


@pytest.mark.skipif(sys.platform != "linux", reason="a process is looked at in /proc")
def test_a_day_of_load(record: Callable[[Row], None], database_url: str, tmp_path: Path) -> None:
    log, chance = tmp_path / "log", Random(1)
    service = Service(tmp_path, database_url)
    attempts, mebibytes = 0, list[float]()
    with serving(service):
        pid = service.child.process.pid
        job_ids = asyncio.run(register(service.url, JOBS))
        at_rest = open_files(pid)
        while attempts < CALLS or len(mebibytes) < LEAST_ROUNDS:
            load = run_load(
                service.url,
                connections=CONNECTIONS,
                job_ids=chance.sample(job_ids, JOBS),
                seconds=ROUND_SECONDS,
                warmup=0,
                ack_log=log,
            )
            attempts += asyncio.run(load).attempts
            mebibytes.append(resident(pid))
        wait_until(lambda: open_files(pid) <= at_rest + POOL, "no file stays open")
        fault = "24 h of 10,000 jobs" if LONG else "300 jobs for seconds"
        row = counted(Row(fault, service.store, attempts, 0, 0, 0), service.database_url, log)
    record(row)
    warm = len(mebibytes) // 4
    assert max(mebibytes[warm:]) <= GROWTH * mebibytes[warm]


def open_files(pid: int) -> int:
    """Return how many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
