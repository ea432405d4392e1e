"""Any number of replicas on one Postgres: every acknowledgement is in the tables, once."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.audit import audit
from benchmarks.server import Child, free_port, launch, stop
from benchmarks.soak import put_under_load
from benchmarks.tally import Result

REPLICAS = 3
CLIENTS = 32
SECONDS = 3.0
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


def failures(result: Result) -> Counter[str]:
    """Return the failed answers of a load."""
    return sum((Counter(endpoint.errors) for endpoint in result.endpoints.values()), Counter())


def test_three_replicas_keep_every_acknowledgement_once(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url, log = new_postgres_url(), tmp_path / "acks.jsonl"
    with replicas(LOCKED, url, tmp_path) as servers:
        result = put_under_load([server.url for server in servers], log, CLIENTS, SECONDS)
    assert not failures(result)
    found = audit(url, log, count_arms=True)
    assert found.acknowledged > 10 * CLIENTS, "there was a load"
    assert found.faults == []


def test_without_the_row_lock_the_same_count_finds_what_is_wrong(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    """The negative control: a count that found nothing here could not find anything above."""
    url, log = new_postgres_url(), tmp_path / "acks.jsonl"
    with replicas(UNLOCKED, url, tmp_path) as servers:
        put_under_load([server.url for server in servers], log, CLIENTS, SECONDS)
    assert audit(url, log, count_arms=True).faults, "results are overwritten"
