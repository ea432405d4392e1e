"""Trainings for the tests: jobs, a meter whose energy is declared, and what the service has kept of them."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

from batchbandit import JobSpec
from batchbandit.energy.meters import Device, Energy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_numbers = itertools.count(1)


def a_job(**changes: Any) -> JobSpec:  # noqa: ANN401 -- members of any type
    """Return a job of a name of its own."""
    number = next(_numbers)
    members = {"job_id": f"job-{number}", "batch_sizes": [8, 16, 32], "default_batch_size": 16}
    return JobSpec(**{**members, "target_metric": 0.9, "max_epochs": 10, **changes})


class Declared:
    """A meter and a clock whose joules and seconds are set."""

    devices: Sequence[Device] = (Device("GPU-1", "V100", 300.0),)

    def __init__(self) -> None:
        self.seconds = 0.0
        self.joules = 0.0
        self.flaw: str | None = None
        self.is_closed = False
        self._start = 0.0

    def spend(self, seconds: float, joules: float) -> None:
        """Let time and energy pass."""
        self.seconds += seconds
        self.joules += joules

    def clock(self) -> float:
        """Return the seconds."""
        return self.seconds

    def start(self) -> None:
        """Begin to measure."""
        self._start = self.joules

    def read(self) -> Energy:
        """Return the energy since the start."""
        return Energy(self.joules - self._start, "declared", self.flaw)

    def close(self) -> None:
        """Note that it is closed."""
        self.is_closed = True


class Pair:
    """Rank 0 of two that are alike."""

    rank = 0
    size = 2

    def share(self, value: Any) -> Any:  # noqa: ANN401 -- JSON
        """Return the value."""
        return value

    def gather(self, value: Any) -> list[Any]:  # noqa: ANN401 -- JSON
        """Return the value of both."""
        return [value, value]


def rows(database: Path, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a statement finds in the service's database."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(statement, parameters).fetchall()


def trials(database: Path, job: JobSpec, columns: str = "trial_number, batch_size, status") -> list[Any]:
    """Return the trials of a job by number."""
    statement = f'SELECT {columns} FROM "Trial" WHERE job_id = ? ORDER BY trial_number'  # noqa: S608 -- ours
    return rows(database, statement, job.job_id)
