"""Acknowledgements of a load held against the tables: what is lost, doubled or forgotten."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.worker import Ack

KEPT = """
SELECT job_id, batch_size, num_observations, length(results) / 24
FROM "ArmHistory" NATURAL JOIN "GaussianTsArmState"
"""

QUERIES = (
    'SELECT job_id, trial_number, batch_size, status FROM "Trial"',
    'SELECT job_id, batch_size, num_observations FROM "GaussianTsArmState"',
    'SELECT job_id, last_trial_number FROM "Job"',
    KEPT,
)
RESULTS = {"converged", "stopped"}
STATUSES = {
    "suggested": {"Dispatched", "Succeeded", "Failed"},
    "converged": {"Succeeded"},
    "stopped": {"Succeeded"},
    "finished": {"Succeeded", "Failed"},
}
"""What each acknowledgement promises of its trial."""

Trials = dict[tuple[str, int], tuple[int, str]]


class Audit(Struct, frozen=True):
    """How much was acknowledged, and a sentence for each thing that is wrong.

    ``lost`` is acknowledged and not in the tables, ``doubled`` a trial number that was given twice, and
    ``forgotten`` a counter or an arm that does not know of everything.
    """

    acknowledged: int
    lost: list[str]
    doubled: list[str]
    forgotten: list[str]

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong."""
        return self.lost + self.doubled + self.forgotten


def audit(database_url: str, log: Path, *, count_arms: bool = False) -> Audit:
    """Compare every acknowledgement of a log with the tables.

    Args:
        database_url: Of what was served.
        log: What ``run_load`` wrote.
        count_arms: Whether every result taught its arm: where jobs began in the bandit, without a window.
    """
    acks = [msgspec.json.decode(line, type=Ack) for line in log.read_bytes().splitlines()]
    trials, arms, counters, histories = asyncio.run(_tables(database_url))
    stored: Trials = {(job_id, number): (size, status) for job_id, number, size, status in trials}
    given = Counter((ack.job_id, ack.trial_number) for ack in acks if ack.ack == "suggested")
    results = Counter((ack.job_id, ack.batch_size) for ack in acks if ack.ack in RESULTS)
    forgotten = list(_forgotten_trials(counters, stored))
    if count_arms:
        forgotten += [
            f"arm {size} of {job_id} has {seen} of {results[job_id, size]} acknowledged results"
            for job_id, size, seen in arms
            if seen != results[job_id, size]
        ]
        forgotten += [
            f"{kept} results are kept beside arm {size} of {job_id}, whose posterior has {seen}"
            for job_id, size, seen, kept in histories
            if seen != kept
        ]
    return Audit(
        acknowledged=len(acks),
        lost=[f"{ack} is not in the tables" for ack in acks if not _is_stored(ack, stored)],
        doubled=[f"trial {trial} was given {count} times" for trial, count in given.items() if count > 1],
        forgotten=forgotten,
    )


async def _tables(database_url: str) -> list[Sequence[Any]]:
    engine = create_async_engine(database_url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return [(await connection.execute(sa.text(query))).all() for query in QUERIES]
    finally:
        await engine.dispose()


def _is_stored(ack: Ack, stored: Trials) -> bool:
    size, status = stored.get((ack.job_id, ack.trial_number), (None, None))
    return size == ack.batch_size and status in STATUSES[ack.ack]


def _forgotten_trials(counters: Sequence[tuple[str, int]], stored: Trials) -> Iterator[str]:
    numbers: dict[str, list[int]] = {}
    for job_id, number in sorted(stored):
        numbers.setdefault(job_id, []).append(number)
    for job_id, last in counters:
        if numbers.get(job_id, []) != list(range(1, last + 1)):
            yield f"{job_id} counts {last} trials and has {len(numbers.get(job_id, []))}"
