"""Postgres falls silent, its connections are cut, and transactions lock each other out."""

import asyncio
import signal
import time
from collections.abc import Callable
from os import kill
from pathlib import Path
from random import Random

import asyncpg
import httpx
import msgspec

from benchmarks.load import register
from benchmarks.postgres import Postgres, create_database
from benchmarks.worker import Ack
from tests.faults.harness import LONG, Mortal, Row, Service, counted, endure, serving
from tests.faults.proxy import Proxy
from tests.service.talk import report_body
from tests.skips import skip_without

SECONDS = 30.0 if LONG else 5.0
SILENT_SECONDS = 20.0 if LONG else 5.0
CUTTING_SECONDS = 20.0 if LONG else 2.5
LOCKING_SECONDS = 20.0 if LONG else 2.5
BULKS = 200 if LONG else 30
JOBS = 20


def test_a_postgres_that_stops_answering(
    record: Callable[[Row], None], mortal: Mortal, tmp_path: Path
) -> None:
    service = Service(tmp_path, create_database(mortal.postgres, "silent"))

    def silence() -> float:
        processes = family(mortal.postgres.process.pid)
        for pid in processes:
            kill(pid, signal.SIGSTOP)
        time.sleep(SILENT_SECONDS)
        for pid in processes:
            kill(pid, signal.SIGCONT)
        return time.monotonic()

    fault = f"Postgres silent for {SILENT_SECONDS:.0f} s"
    with serving(service):
        record(endure(fault, "Postgres", [service], silence, tmp_path / "log", 1.5 * SILENT_SECONDS))


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        skip_without("the children of a process are read from /proc")
    return [pid, *map(int, children.split())]


def test_connections_cut_mid_transaction(
    record: Callable[[Row], None], postgres: Postgres, new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    proxy = Proxy(postgres.port)

    def cut() -> float:
        chance = Random(1)
        ends = time.monotonic() + CUTTING_SECONDS
        while time.monotonic() < ends:
            time.sleep(chance.uniform(0.0, 0.2))
            proxy.cut()
        assert proxy.cuts > 0
        return time.monotonic()

    with proxy.running():
        service = Service(tmp_path, url.replace(f":{postgres.port}/", f":{proxy.port}/"))
        with serving(service):
            record(endure("connections cut at random", "Postgres", [service], cut, tmp_path / "log", SECONDS))


def test_deadlocks_with_another_program(
    record: Callable[[Row], None], new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    first, second = Service(tmp_path, url), Service(tmp_path, url)

    def lock() -> float:
        assert asyncio.run(lock_backwards(url)) > 0, "there were deadlocks"
        return time.monotonic()

    asyncio.run(execute(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET deadlock_timeout = '20ms'"))
    with serving(first, second):
        record(
            endure(
                "deadlocks with another program",
                "Postgres",
                [first, second],
                lock,
                tmp_path / "log",
                SECONDS,
                jobs=3,  # odd, so that each replica is asked for every job
            )
        )


async def execute(url: str, statement: str) -> None:
    """Execute a statement."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def lock_backwards(url: str) -> int:
    """Lock the rows of jobs in descending order, as the service never does; return how often that failed."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        job_ids = [row[0] for row in await connection.fetch('SELECT job_id FROM "Job" ORDER BY 1 DESC')]
        ends = time.monotonic() + LOCKING_SECONDS
        while time.monotonic() < ends:
            try:
                async with connection.transaction():
                    for job_id in job_ids:
                        await connection.execute('SELECT 1 FROM "Job" WHERE job_id = $1 FOR UPDATE', job_id)
                        await asyncio.sleep(0.01)
            except asyncpg.DeadlockDetectedError:
                pass
        return await deadlocks(connection)
    finally:
        await connection.close()


def test_bulk_calls_at_two_replicas_in_different_orders(
    record: Callable[[Row], None], new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url, log = new_postgres_url(), tmp_path / "log"
    services = Service(tmp_path, url), Service(tmp_path, url)
    with serving(*services):
        job_ids = asyncio.run(register(services[0].url, JOBS))
        acks = asyncio.run(call_in_bulk([service.url for service in services], job_ids))
        assert asyncio.run(count_deadlocks(url)) == 0, "rows are locked in one order"
    log.write_bytes(b"".join(msgspec.json.encode(ack) + b"\n" for ack in acks))
    # All were answered: what was sent is what was acknowledged.
    record(counted(Row("bulk calls, two replicas", "Postgres", len(acks), 0, 0, 0), url, log))


async def count_deadlocks(url: str) -> int:
    """Return how many deadlocks there were in a database."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await deadlocks(connection)
    finally:
        await connection.close()


async def deadlocks(connection: asyncpg.Connection) -> int:
    """Return how many deadlocks Postgres has found in a connection's database."""
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return int(await connection.fetchval(query))


async def call_in_bulk(urls: list[str], job_ids: list[str]) -> list[Ack]:
    """Let two clients at each replica suggest and report for all jobs, each time in another order."""
    chance = Random(1)
    acks: list[Ack] = []

    async def train(http: httpx.AsyncClient) -> None:
        for _ in range(BULKS):
            shuffled = chance.sample(job_ids, len(job_ids))
            answer = await http.post("/api/v1/suggestions", json={"job_ids": shuffled})
            trials = answer.raise_for_status().json()["suggestions"]
            acks.extend(msgspec.convert({"ack": "suggested", **trial}, Ack) for trial in trials)
            reports = [report_body(trial) for trial in chance.sample(trials, len(trials))]
            answer = await http.post("/api/v1/reports", json={"reports": reports})
            verdicts = answer.raise_for_status().json()["verdicts"]
            assert all(verdict["stop_train"] for verdict in verdicts)
            acks.extend(msgspec.convert({"ack": "converged", **report}, Ack) for report in reports)

    clients = [httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) for url in urls for _ in range(2)]
    await asyncio.gather(*map(train, clients))
    for client in clients:
        await client.aclose()
    return acks
