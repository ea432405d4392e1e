"""What the tests of faults share, and the tables that they end with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.postgres import postgres_folder
from benchmarks.postgres import stop as stop_postgres
from tests.faults.harness import Mortal, Row

ROWS = pytest.StashKey[list[Row]]()
TABLES = pytest.StashKey[list[Table]]()
WIDTH = 110


def pytest_configure(config: pytest.Config) -> None:
    """Begin the tables."""
    config.stash[ROWS] = []
    config.stash[TABLES] = []


@pytest.fixture
def record(pytestconfig: pytest.Config) -> Callable[[Row], None]:
    """Return what adds a row to the table, and holds that nothing is lost and nothing there twice."""

    def add(row: Row) -> None:
        pytestconfig.stash[ROWS].append(row)
        assert (row.lost, row.doubled) == (0, 0)

    return add


@pytest.fixture
def print_at_end(pytestconfig: pytest.Config) -> Callable[[Table], None]:
    """Return what adds another table to the end."""
    return pytestconfig.stash[TABLES].append


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print the tables."""
    tables = config.stash[TABLES] + ([of_faults(config.stash[ROWS])] if config.stash[ROWS] else [])
    for table in tables:
        Console(width=WIDTH).print(table)


def of_faults(rows: list[Row]) -> Table:
    """Return the table of faults."""
    table = Table(title="Faults", title_justify="left")
    for heading in ("fault", "store"):
        table.add_column(heading)
    for heading in ("attempts", "acknowledged", "lost", "doubled", "seconds to recover"):
        table.add_column(heading, justify="right")
    for row in rows:
        seconds = "-" if row.seconds is None else f"{row.seconds:.1f}"
        counts = (f"{count:,}" for count in (row.attempts, row.acknowledged, row.lost, row.doubled))
        table.add_row(row.fault, row.store, *counts, seconds)
    return table


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    """Return a Postgres of a test's own."""
    with postgres_folder() as folder:
        mortal = Mortal(folder)
        try:
            yield mortal
        finally:
            stop_postgres(mortal.postgres)


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that is new."""
    return f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new database, of each kind in turn."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("new_sqlite_url"))
    return str(request.getfixturevalue("new_postgres_url")())
