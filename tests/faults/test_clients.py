"""Clients as a fault: thousands that are silent beside a load, and one that hangs up amid its requests."""

import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx

from benchmarks.load import register, run_load
from tests.faults.harness import LONG, Row, Service, counted, serving, wait_until
from tests.service.tables import open_tables

SILENT = 10_000 if LONG else 1000
LOAD_SECONDS = 20.0 if LONG else 3.0
STEP = 1 if LONG else 9
"""Bytes between two places to cut a request at."""


def test_every_call_is_answered_beside_silent_connections(
    record: Callable[[Row], None], database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "acks.jsonl"
    service = Service(tmp_path, database_url, BATCHBANDIT_CONNECTION_LIMIT=str(SILENT // 2))
    with serving(service), open_files(SILENT + 200):
        attempts = asyncio.run(load_beside_silence(service, log))
        began = time.monotonic()
        wait_until(service.serves, "a trial")
        seconds = time.monotonic() - began
        row = Row(f"{SILENT:,} silent connections", service.store, attempts, 0, 0, 0, seconds)
        row = counted(row, service.database_url, log)
    record(row)
    assert row.acknowledged == attempts > 0


async def load_beside_silence(service: Service, log: Path) -> int:
    """Load a service while silent connections are opened, more than it keeps; count the calls."""
    job_ids = await register(service.url, 8)
    loading = asyncio.create_task(
        run_load(service.url, connections=16, seconds=LOAD_SECONDS, warmup=0, ack_log=log, job_ids=job_ids)
    )
    with ExitStack() as opened:
        for number in range(SILENT):
            silent = opened.enter_context(closing(socket.socket()))
            silent.setblocking(False)  # noqa: FBT003  (the socket's own)
            await asyncio.wait_for(
                asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", service.port)), 30
            )
            if number % 2:
                silent.send(b"POST /rep")
        result = await loading
    return result.attempts


def test_a_part_of_a_request_does_nothing(
    record: Callable[[Row], None], database_url: str, tmp_path: Path
) -> None:
    service = Service(tmp_path, database_url)
    with serving(service), httpx.Client(base_url=service.url, trust_env=False, timeout=30) as http:
        job_id = asyncio.run(register(service.url, 1))[0]
        trial = http.get("/jobs/batch_size", params={"job_id": job_id}).json()
        report = trial | {"time": 1.0, "energy": 1.0, "metric": 1.0, "current_epoch": 1}
        requests = [
            http.build_request("GET", "/jobs/batch_size", params={"job_id": job_id}, content=b"{}"),
            http.build_request("POST", "/report", json=report),
            http.build_request("PATCH", "/trials", json=trial),
            http.build_request("DELETE", "/jobs", params={"job_id": job_id}),
        ]
        with open_tables(service.database_url) as tables:
            before = tables.contents()
            attempts = sum(hang_up_amid(request, service.port) for request in requests)
            began = time.monotonic()
            assert http.get("/readyz").status_code == 200
            assert tables.contents() == before
        record(Row("half a request", service.store, attempts, 0, 0, 0, time.monotonic() - began))
    assert attempts > 10


def hang_up_amid(request: httpx.Request, port: int) -> int:
    """Send parts of a request, each on a connection of its own that ends there; return how many."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    whole = b"\r\n".join([*lines, b"", request.content])
    ends = range(1, len(whole), STEP)
    for end in ends:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as client:
            client.sendall(whole[:end])
    return len(ends)


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """Let this process open more files for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count) if hard == resource.RLIM_INFINITY else min(max(soft, count), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
