"""Any number of replicas on one Postgres: every acknowledgement is in the tables, once."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from benchmarks.load import run_load
from benchmarks.server import Child, free_port, launch, stop
from tests.service.talk import Api

REPLICAS = 3
CLIENTS = 32
HOT_JOBS = ("hot-1", "hot-2")
LOCKED = (str(Path(sys.executable).parent / "batchbandit"),)
UNLOCKED = (sys.executable, str(Path(__file__).parent / "unlocked.py"))


@contextmanager
def replicas(command: tuple[str, ...], database_url: str, folder: Path) -> Iterator[list[Child]]:
    """Start servers of one database."""
    with ExitStack() as running:
        servers = []
        for number in range(REPLICAS):
            port = free_port()
            serve = ["serve", "--port", str(port), "--database-url", database_url]
            server = launch([*command, *serve], port, folder / f"replica-{number}.log")
            running.callback(stop, server)
            servers.append(server)
        yield servers


def put_under_load(servers: list[Child], log: Path, seconds: float) -> Counter[str]:
    """Let clients train two jobs, each client at its own replica; return the failed answers."""
    with closing(httpx.Client(base_url=servers[0].url, trust_env=False)) as http:
        for job_id in HOT_JOBS:
            # Straight to the bandit, so that every result refits its arm.
            Api(http).register(
                job_id=job_id,
                job_id_prefix="hot",
                num_pruning_rounds=0,
                batch_sizes=[8, 64],
                default_batch_size=8,
            )
    result = asyncio.run(
        run_load(
            *(server.url for server in servers),
            connections=CLIENTS,
            job_ids=HOT_JOBS,
            seconds=seconds,
            warmup=0,
            ack_log=log,
        )
    )
    return sum((Counter(endpoint.errors) for endpoint in result.endpoints.values()), Counter())


async def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    """Return what a query selects."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def discrepancies(database_url: str, log: Path) -> list[str]:
    """Compare every acknowledgement with the tables; return what is lost, doubled or forgotten."""
    acks = [json.loads(line) for line in log.read_text().splitlines()]
    trials = asyncio.run(rows(database_url, 'SELECT job_id, trial_number, batch_size, status FROM "Trial"'))
    arms = asyncio.run(
        rows(database_url, 'SELECT job_id, batch_size, num_observations FROM "GaussianTsArmState"')
    )
    jobs = asyncio.run(rows(database_url, 'SELECT job_id, last_trial_number FROM "Job"'))
    stored = {(job_id, number): (size, status) for job_id, number, size, status in trials}
    given = Counter((ack["job_id"], ack["trial_number"]) for ack in acks if ack["ack"] == "suggested")
    found = [f"trial {trial} was given {count} times" for trial, count in given.items() if count > 1]
    results: Counter[tuple[str, int]] = Counter()
    for ack in acks:
        size, status = stored.get((ack["job_id"], ack["trial_number"]), (None, None))
        if size != ack["batch_size"]:
            found.append(f"{ack} is not in the tables")
        elif ack["ack"] != "suggested":
            results[ack["job_id"], size] += 1
            if status != "Succeeded":
                found.append(f"the result of {ack} is not in the tables")
    for job_id, size, observations in arms:
        if observations != results[job_id, size]:
            found.append(
                f"arm {size} of {job_id} has {observations} of {results[job_id, size]} acknowledged results"
            )
    for job_id, last in jobs:
        numbers = sorted(number for job, number in stored if job == job_id)
        if numbers != list(range(1, last + 1)):
            found.append(f"{job_id} counts {last} trials and has {len(numbers)}")
    return found


def test_three_replicas_keep_every_acknowledgement_once(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url, log = new_postgres_url(), tmp_path / "acks.jsonl"
    with replicas(LOCKED, url, tmp_path) as servers:
        failed = put_under_load(servers, log, seconds=4)
    assert not failed
    assert len(log.read_text().splitlines()) > 10 * CLIENTS, "there was a load"
    assert discrepancies(url, log) == []


def test_without_the_row_lock_the_same_count_finds_what_is_wrong(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    """The negative control: a count that found nothing here could not find anything above."""
    url, log = new_postgres_url(), tmp_path / "acks.jsonl"
    with replicas(UNLOCKED, url, tmp_path) as servers:
        failed = put_under_load(servers, log, seconds=4)
    found = discrepancies(url, log)
    assert found or failed, "results are overwritten, or trial numbers given twice and refused"
