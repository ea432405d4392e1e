"""The server keeps nothing of what it has served; the long form is a section of the benchmark report."""

import re
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.service.talk import Api, job_body, report_body

ALLOWANCE = 1 << 20
"""Bytes that an allocator may take for itself meanwhile: 200 a trial."""


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
def test_memory_does_not_grow_with_jobs_and_trials(server_url: str) -> None:
    with (
        running_server(server_url) as server,
        httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http,
    ):
        trains(http, jobs=250, recurrences=20)
        before = resident(server)
        trains(http, jobs=250, recurrences=20)
        assert resident(server) - before < ALLOWANCE


def trains(http: httpx.Client, jobs: int, recurrences: int) -> None:
    """Register jobs and let each recur."""
    api = Api(http)
    for _ in range(jobs):
        assert http.post("/jobs", json=job_body(job_id=...)).status_code == 201
    job_ids = [api.register(num_pruning_rounds=0)["job_id"] for _ in range(jobs)]
    for _ in range(recurrences):
        trials = http.post("/api/v1/suggestions", json={"job_ids": job_ids}).json()["suggestions"]
        reports = [report_body(trial) for trial in trials]
        answers = http.post("/api/v1/reports", json={"reports": reports}).json()["verdicts"]
        assert {answer["stop_train"] for answer in answers} == {True}


def resident(server: Server) -> int:
    """Return how many bytes of memory a server's process holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024
