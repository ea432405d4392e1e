"""/readyz tells whether to send requests here; /healthz only that the process answers."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx

from benchmarks.postgres import create_database, kill, postgres_folder
from benchmarks.postgres import start as start_postgres
from benchmarks.postgres import stop as stop_postgres
from benchmarks.server import free_port, launch, running_server, stop
from service.store.locking import MIGRATION

PROGRAM = str(Path(sys.executable).parent / "batchbandit")


def status(url: str) -> int:
    """Return how a path is answered."""
    return httpx.get(url, trust_env=False, timeout=30).status_code


def test_a_draining_service_is_not_ready_and_serves_on(tmp_path: Path) -> None:
    port = free_port()
    file = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    options = ["--port", str(port), "--drain-seconds", "2", "--database-url", file]
    server = launch([PROGRAM, "serve", *options], port, tmp_path / "server.log")
    try:
        assert status(f"{server.url}/readyz") == 200
        began = time.monotonic()
        server.process.terminate()
        while status(f"{server.url}/readyz") == 200:
            assert time.monotonic() - began < 1.5
        assert status(f"{server.url}/healthz") == 200
        assert status(f"{server.url}/jobs/batch_size?job_id=nobody") == 400, "the database is asked as ever"
        assert server.process.wait(15) == 0
        assert time.monotonic() - began > 2
    finally:
        stop(server)


def test_a_second_signal_ends_the_draining(tmp_path: Path) -> None:
    port = free_port()
    file = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    options = ["--port", str(port), "--drain-seconds", "60", "--database-url", file]
    server = launch([PROGRAM, "serve", *options], port, tmp_path / "server.log")
    try:
        server.process.terminate()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 0
    finally:
        stop(server)


def test_while_the_tables_are_changed_a_service_is_not_ready(new_postgres_url: Callable[[], str]) -> None:
    async def migrate(connection: asyncpg.Connection) -> None:
        await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATION})")
        await connection.execute('LOCK TABLE "Job" IN ACCESS EXCLUSIVE MODE')
        began = time.monotonic()
        assert await asyncio.to_thread(status, f"{server.url}/readyz") == 503
        assert time.monotonic() - began < 3, "the lock is seen, the tables are not waited for"
        assert await asyncio.to_thread(status, f"{server.url}/healthz") == 200

    url = new_postgres_url()
    with running_server(url) as server:
        assert status(f"{server.url}/readyz") == 200
        asyncio.run(in_transaction(url, migrate))
        assert status(f"{server.url}/readyz") == 200


async def in_transaction(url: str, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    """Run work in a transaction beside the service."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await work(connection)
    finally:
        await connection.close()


def test_without_a_database_a_service_is_healthy_and_not_ready_until_it_is_back() -> None:
    with postgres_folder() as folder:
        postgres = start_postgres(folder)
        try:
            with running_server(create_database(postgres, "ready")) as server:
                kill(postgres)
                assert status(f"{server.url}/readyz") == 503
                assert status(f"{server.url}/healthz") == 200
                postgres = start_postgres(folder)
                assert status(f"{server.url}/readyz") == 200
        finally:
            stop_postgres(postgres)
