"""Postgres dies under load, and stands behind a pooler: what was acknowledged is there, once."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from benchmarks.audit import audit
from benchmarks.load import run_load
from benchmarks.pgbouncer import find_pgbouncer, running_pgbouncer
from benchmarks.postgres import Postgres, create_database, kill, postgres_folder
from benchmarks.postgres import start as start_postgres
from benchmarks.postgres import stop as stop_postgres
from benchmarks.server import ServerFailed, running_server

DOWN_SECONDS = 1.0


def test_what_was_acknowledged_survives_a_kill_of_postgres(tmp_path: Path) -> None:
    log = tmp_path / "acks.jsonl"
    with postgres_folder() as folder:
        postgres = start_postgres(folder)
        url = create_database(postgres, "killed")
        try:
            with running_server(url) as server:
                load = run_load(server.url, connections=16, jobs=4, seconds=6, warmup=0, ack_log=log)
                killing = threading.Timer(1.5, kill, [postgres])
                killing.start()
                loading = threading.Thread(target=asyncio.run, args=(load,))
                loading.start()
                killing.join()
                assert status(server.url) == 503
                time.sleep(DOWN_SECONDS)
                before = len(log.read_text().splitlines())
                postgres = start_postgres(folder)
                loading.join()
                assert len(log.read_text().splitlines()) > before, "it serves again by itself"
                assert status(server.url) == 200
                assert audit(url, log).faults == []
        finally:
            stop_postgres(postgres)


def status(url: str) -> int:
    """Return how ready a service is."""
    return httpx.get(f"{url}/readyz", trust_env=False, timeout=30).status_code


def test_the_service_works_through_a_pooler_of_transactions(
    postgres: Postgres, new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    try:
        find_pgbouncer()
    except ServerFailed as failure:
        if "BATCHBANDIT_REQUIRE_ALL" not in os.environ:
            pytest.skip(str(failure))
        raise
    log = tmp_path / "acks.jsonl"
    url = new_postgres_url()
    with running_pgbouncer(postgres) as pooler, running_server(pooler.url(url.rpartition("/")[2])) as server:
        result = asyncio.run(run_load(server.url, connections=16, jobs=4, seconds=2, warmup=0, ack_log=log))
        assert {name: endpoint.errors for name, endpoint in result.endpoints.items() if endpoint.errors} == {}
        assert result.total.requests > 10
    assert audit(url, log).faults == []
