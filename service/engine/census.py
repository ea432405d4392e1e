"""What is counted in the database for those who watch: seldom, and beside the transactions."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from core.records import Stage
from service.engine.sharing import Shared
from service.errors import ServiceError
from service.store import census

T = TypeVar("T")

log = logging.getLogger("batchbandit.census")

FRESH_SECONDS = 5.0
"""How old figures may be that are given again."""
PAUSES = 20
"""How many times as long as a count has taken the pause after it is at least."""
PATIENCE_SECONDS = 1.0
"""How long who asks waits for the database."""


class Database(Protocol):
    """What a census needs of a store."""

    async def check(self) -> None:
        """Read from the database."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which writes nothing."""


class Census(Collector):
    """Figures of the whole database, the same whichever process gives them.

    What cannot be read is left out: a database that is away takes no other figure with it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = Shared(self._read)
        self._is_due_at = float("-inf")
        self._is_up = False
        self._jobs: Mapping[Stage, int] | None = None

    async def refresh(self) -> None:
        """See that the figures are recent, as far as the database lets in a moment."""
        if asyncio.get_running_loop().time() >= self._is_due_at:
            await asyncio.wait([self._reading.begin()], timeout=PATIENCE_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """Go through the figures, for Prometheus."""
        is_up = GaugeMetricFamily("batchbandit_database_up", "Whether the database answers.")
        is_up.add_metric([], self._is_up)
        yield is_up
        jobs = GaugeMetricFamily("batchbandit_jobs", "Jobs in the database.", labels=["stage"])
        if self._is_up and self._jobs is not None:
            for stage in Stage:
                jobs.add_metric([stage], self._jobs[stage])
        yield jobs

    def give_up(self) -> None:
        """End what is being read."""
        self._reading.give_up()

    async def ended(self) -> None:
        """Wait for what is being read, whatever comes of it."""
        await self._reading.ended()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FRESH_SECONDS
        self._is_up = False
        try:
            await self._database.check()
            self._is_up = True
            began = loop.time()
            self._jobs = await self._database.read(census.jobs_by_stage)
            pause = max(pause, PAUSES * (loop.time() - began))
        except Exception as error:
            self._is_up = False
            if not isinstance(error, ServiceError):
                log.exception("the jobs could not be counted")
        self._is_due_at = loop.time() + pause
