"""The service, or its Postgres, is killed, and started again."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.postgres import create_database
from benchmarks.postgres import kill as kill_postgres
from tests.faults.harness import LONG, Mortal, Row, Service, endure, serving

KILLS = 10 if LONG else 2
PAUSE = 0.5
"""Seconds of load between a start and the next kill."""
SECONDS = 30.0 if LONG else 4.0
DOWN_SECONDS = 10.0 if LONG else 1.0


def killing(*services: Service) -> Callable[[], float]:
    """Return what kills services in turn, each of them again and again."""

    def kill_all() -> float:
        killed = time.monotonic()
        for _ in range(KILLS):
            for service in services:
                time.sleep(PAUSE)
                service.kill()
                killed = time.monotonic()
                service.start()
        return killed

    return kill_all


def test_kill_of_the_service_on_sqlite(record: Callable[[Row], None], tmp_path: Path) -> None:
    service = Service(tmp_path)
    with serving(service):
        record(
            endure("kill -9 of the service", "SQLite", [service], killing(service), tmp_path / "log", SECONDS)
        )


def test_kill_of_one_of_two_replicas(
    record: Callable[[Row], None], new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    first, second = Service(tmp_path, url), Service(tmp_path, url)
    with serving(first, second):
        kill = killing(first, second)
        row = endure(
            "kill -9 of each of 2 replicas", "Postgres", [first, second], kill, tmp_path / "log", SECONDS
        )
    record(row)


def test_kill_and_restart_of_postgres(record: Callable[[Row], None], mortal: Mortal, tmp_path: Path) -> None:
    service = Service(tmp_path, create_database(mortal.postgres, "killed"))

    def kill_and_restart() -> float:
        kill_postgres(mortal.postgres)
        assert not service.serves()
        time.sleep(DOWN_SECONDS)
        restarted = time.monotonic()
        mortal.restart()
        return restarted

    with serving(service):
        record(
            endure("kill -9 of Postgres", "Postgres", [service], kill_and_restart, tmp_path / "log", SECONDS)
        )
