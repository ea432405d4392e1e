"""Clients as a fault: thousands that are silent beside a load, and one that hangs up amid its requests."""

import asyncio
import os
import resource
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from msgspec import Struct

from benchmarks.load import register, run_load
from benchmarks.server import Server, running_server
from benchmarks.worker import Ack

IS_LONG = bool(os.environ.get("BATCHBANDIT_LONG_FAULTS"))
SILENT = 10_000 if IS_LONG else 1000
LOAD_SECONDS = 20.0 if IS_LONG else 3.0
STEP = 1 if IS_LONG else 9
"""Bytes between two places to cut a request at."""


class Toll(Struct, frozen=True):
    """What a fault did: of ``attempts``, how many answers were acknowledged, lost or doubled."""

    attempts: int
    acknowledged: int
    lost: int
    doubled: int
    recovery_seconds: float


def test_every_call_is_answered_beside_silent_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHBANDIT_CONNECTION_LIMIT", str(SILENT // 2))
    with running_server() as server:
        toll = silent_connections(server, tmp_path / "acks.jsonl")
    assert toll.acknowledged == toll.attempts > 0
    assert (toll.lost, toll.doubled) == (0, 0)


def test_a_part_of_a_request_does_nothing() -> None:
    with running_server() as server:
        toll = parts_of_requests(server)
    assert toll.attempts > 10
    assert (toll.acknowledged, toll.lost, toll.doubled) == (0, 0, 0)


def silent_connections(server: Server, log: Path) -> Toll:
    """Put a server on SQLite under load while silent connections are opened, more than it keeps."""
    address = address_of(server)
    job_ids = asyncio.run(register(server.url, 8))

    async def load() -> tuple[int, int]:
        loading = asyncio.create_task(
            run_load(server.url, connections=16, seconds=LOAD_SECONDS, warmup=0, ack_log=log, job_ids=job_ids)
        )
        with ExitStack() as opened:
            for number in range(SILENT):
                silent = opened.enter_context(closing(socket.socket()))
                silent.setblocking(False)  # noqa: FBT003  (the socket's own)
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(silent, address), 30)
                if number % 2:
                    silent.send(b"POST /rep")
            result = await loading
        failed = sum(result.total.errors.values())
        return result.total.requests + failed, result.total.requests

    with open_files(SILENT + 200):
        attempts, answered = asyncio.run(load())
    began = time.monotonic()
    assert httpx.get(f"{server.url}/readyz", trust_env=False, timeout=30).status_code == 200
    lost, doubled = missing(server.database, log)
    return Toll(attempts, answered, lost, doubled, time.monotonic() - began)


def parts_of_requests(server: Server) -> Toll:
    """Cut requests at many places and hang up: none may have done anything."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        job_id = asyncio.run(register(server.url, 1))[0]
        trial = http.get("/jobs/batch_size", params={"job_id": job_id}).json()
        report = trial | {"time": 1.0, "energy": 1.0, "metric": 1.0, "current_epoch": 1}
        requests = [
            http.build_request("GET", "/jobs/batch_size", params={"job_id": job_id}, content=b"{}"),
            http.build_request("POST", "/report", json=report),
            http.build_request("PATCH", "/trials", json=trial),
            http.build_request("DELETE", "/jobs", params={"job_id": job_id}),
        ]
        before = tables(server.database)
        attempts = 0
        for request in requests:
            whole = bytes_of(request)
            for end in range(1, len(whole), STEP):
                with closing(socket.create_connection(address_of(server), timeout=30)) as client:
                    client.sendall(whole[:end])
                attempts += 1
        began = time.monotonic()
        assert http.get("/readyz").status_code == 200
        after = tables(server.database)
        written = sum(before[name] != after[name] for name in before)
        return Toll(attempts, 0, 0, written, time.monotonic() - began)


def address_of(server: Server) -> tuple[str, int]:
    """Return where a server listens."""
    url = httpx.URL(server.url)
    return url.host, url.port or 80


def bytes_of(request: httpx.Request) -> bytes:
    """Return a request as it is sent."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join([*lines, b"", request.content])


def tables(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of jobs and trials."""
    with closing(sqlite3.connect(database)) as connection:
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in ("Job", "Trial")}  # noqa: S608


def missing(database: Path, log: Path) -> tuple[int, int]:
    """Return how many acknowledgements of a log are in no table, and how many trials were given twice."""
    acks = [msgspec.json.decode(line, type=Ack) for line in log.read_bytes().splitlines()]
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT job_id, trial_number, status FROM Trial").fetchall()
    given = Counter((ack.job_id, ack.trial_number) for ack in acks if ack.ack == "suggested")
    ended = {(ack.job_id, ack.trial_number) for ack in acks if ack.ack != "suggested"}
    stored = {(job_id, number): status for job_id, number, status in rows}
    lost = sum(trial not in stored for trial in given) + sum(stored.get(it) != "Succeeded" for it in ended)
    return lost, given.total() - len(given)


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
