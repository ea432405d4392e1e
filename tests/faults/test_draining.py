"""SIGTERM while Postgres does not answer: everybody is told, and the service ends in time."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from benchmarks.server import Child
from service.engine.admission import STALE_SECONDS
from tests.service.wires import head, registered, serving, wire

OVERDUE = "timeout graceful shutdown exceeded"
"""What uvicorn logs where it stops waiting for connections that are open yet."""


@pytest.mark.parametrize("table", ["Job", "Token"])
def test_a_database_that_does_not_answer_does_not_hold_the_end_up(
    new_postgres_url: Callable[[], str], tmp_path: Path, table: str
) -> None:
    url = new_postgres_url()
    with serving(tmp_path, "--workers", "2", "--database-url", url) as server:
        suggest = head(f"GET /jobs/batch_size?job_id={registered(server.url)}")
        asyncio.run(while_locked(url, table, drain, server, suggest))
        assert OVERDUE not in server.log.read_text()
        assert "Exception in ASGI application" not in server.log.read_text()


async def while_locked(url: str, table: str, work: Callable[..., None], *arguments: object) -> None:
    """Run work while another transaction holds a table that every request needs."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
            await asyncio.to_thread(work, *arguments)
    finally:
        await connection.close()


def drain(server: Child, request: bytes) -> None:
    """Stop a server with requests in flight and others behind them, all of which are answered."""
    time.sleep(2 * STALE_SECONDS)  # else the tokens need not be read
    with ExitStack() as opened:
        accepted = []
        for _ in range(2):
            accepted += [opened.enter_context(wire(server.url, request)) for _ in range(4)]
            time.sleep(0.5)
        server.process.terminate()
        for client in accepted:
            answer = client.answer()
            assert answer is not None
            assert (answer.status, answer.problem()) == (503, "database-unavailable")
        assert server.process.wait(20) == 0
