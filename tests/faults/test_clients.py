"""Clients as a fault: thousands that are silent beside a load, and one that hangs up amid its requests."""

import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.load import register, run_load
from tests.faults.harness import LONG, Row, Service, counted, serving, wait_until
from tests.service.tables import open_tables
from tests.skips import skip_without

SILENT = 10_000 if LONG else 1000
HELD = [SILENT // 2, SILENT] if LONG else [SILENT // 2]
"""How many of them the service keeps: with its own limit half of the 10,000, and with a higher one all."""
OTHERS = 200
"""Connections and files that are open beside the silent ones."""
LOAD_SECONDS = 20.0 if LONG else 3.0
STEP = 1 if LONG else 9
"""Bytes between two places to cut a request at."""


@pytest.mark.parametrize("held", HELD)
def test_every_call_is_answered_beside_silent_connections(
    record: Callable[[Row], None], database_url: str, tmp_path: Path, held: int
) -> None:
    log = tmp_path / "acks.jsonl"
    limit = held if held < SILENT else SILENT + OTHERS
    # They are to be there as long as the load, not as long as a client may take.
    patience = {"BATCHBANDIT_CONNECTION_LIMIT": str(limit), "BATCHBANDIT_CLIENT_SECONDS": "600"}
    service = Service(tmp_path, database_url, **patience)
    with open_files(SILENT + 2 * OTHERS), serving(service):
        attempts, still_open = asyncio.run(load_beside_silence(service, log))
        began = time.monotonic()
        wait_until(service.serves, "a trial")
        seconds = time.monotonic() - began
        row = Row(f"{SILENT:,} silent connections, {held:,} held", service.store, attempts, 0, 0, 0, seconds)
        row = counted(row, service.database_url, log)
    record(row)
    assert row.acknowledged == attempts > 0
    assert still_open == SILENT if held == SILENT else 0 < still_open <= held


async def load_beside_silence(service: Service, log: Path) -> tuple[int, int]:
    """Load a service while silent connections are opened; count the calls, and those open at the end."""
    job_ids = await register(service.url, 8)
    loading = asyncio.create_task(
        run_load(service.url, connections=16, seconds=LOAD_SECONDS, warmup=0, ack_log=log, job_ids=job_ids)
    )
    with ExitStack() as opened:
        silents = []
        for number in range(SILENT):
            silent = opened.enter_context(closing(socket.socket()))
            silent.setblocking(False)  # noqa: FBT003  (the socket's own)
            await asyncio.wait_for(
                asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", service.port)), 30
            )
            if number % 2:
                silent.send(b"POST /rep")
            silents.append(silent)
        result = await loading
        return result.attempts, sum(map(is_open, silents))


def is_open(silent: socket.socket) -> bool:
    """Tell whether the other end has not closed a connection on which it says nothing."""
    try:
        said = silent.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    assert said == b""
    return False


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
    """Let this process, and those it starts, open more files for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        skip_without(f"a process may open {hard} files here, and {count} are needed: raise ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
