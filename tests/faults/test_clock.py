"""The clock steps back an hour: the service's on SQLite, Postgres' and the service's on Postgres."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.postgres import create_database, postgres_folder
from benchmarks.postgres import start as start_postgres
from benchmarks.postgres import stop as stop_postgres
from tests.faults.clock import CACHE_SECONDS, Clock, find_library
from tests.faults.harness import LONG, Row, Service, endure, serving
from tests.skips import skip_without

SECONDS = 30.0 if LONG else 4.0
HOUR = timedelta(hours=-1)
FAULT = "clock one hour back"
STEPS_BACK = """
SELECT count(*) FROM "Trial" AS earlier JOIN "Trial" AS later
ON later.job_id = earlier.job_id AND later.trial_number = earlier.trial_number + 1
WHERE later.start_timestamp < earlier.start_timestamp
"""


def new_clock(folder: Path) -> Clock:
    """Return a clock, or skip the test."""
    library = find_library()
    if library is None:
        skip_without("libfaketime is not installed: install the machine's package, faketime")
    return Clock(folder / "clock", library)


def stepping(clock: Clock) -> Callable[[], float]:
    """Return what sets a clock back."""

    def step() -> float:
        clock.set(HOUR)
        time.sleep(2 * CACHE_SECONDS)
        return time.monotonic()

    return step


def steps_back(database_url: str) -> int:
    """Return how many trials began before the trial before them."""

    async def count() -> int:
        engine = create_async_engine(database_url, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                return int(await connection.scalar(sa.text(STEPS_BACK)) or 0)
        finally:
            await engine.dispose()

    return asyncio.run(count())


def test_clock_of_a_service_on_sqlite(record: Callable[[Row], None], tmp_path: Path) -> None:
    clock = new_clock(tmp_path)
    service = Service(tmp_path, **clock.environment)
    with serving(service):
        record(endure(FAULT, "SQLite", [service], stepping(clock), tmp_path / "log", SECONDS))
    assert steps_back(service.database_url) > 0


def test_clock_of_postgres(
    record: Callable[[Row], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_folder() as folder:
        clock = new_clock(folder)
        with monkeypatch.context() as environment:
            for name, value in clock.environment.items():
                environment.setenv(name, value)
            postgres = start_postgres(folder)
        try:
            service = Service(tmp_path, create_database(postgres, "clock"), **clock.environment)
            with serving(service):
                record(endure(FAULT, "Postgres", [service], stepping(clock), tmp_path / "log", SECONDS))
            assert steps_back(service.database_url) > 0
        finally:
            stop_postgres(postgres)
