"""A worker of the load generator: one connection that trains its jobs again and again."""

import asyncio
import time
from collections.abc import Sequence
from io import FileIO
from itertools import cycle
from typing import TypeVar
from urllib.parse import SplitResult

import msgspec
from msgspec import Struct

from benchmarks.bodies import Suggestion, Verdict
from benchmarks.tally import Tally
from benchmarks.wire import Connection, Dropped, request

SUGGEST = "GET /jobs/batch_size"
REPORT = "POST /report"
FINISH = "PATCH /trials"
ENDPOINTS = (SUGGEST, REPORT, FINISH)
BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
EPOCH_TIMES = dict(zip(BATCH_SIZES, (150.0, 140.0, 125.0, 110.0, 100.0, 105.0, 120.0, 135.0), strict=True))
"""Seconds that a training takes: all within twice the shortest, so that none is stopped for its cost."""
POWER = 200.0
PAUSE = 0.02
"""Seconds to wait after a refused suggestion, or before a server that could not be reached is tried again."""


class Unreachable(Exception):
    """The server takes no connection."""


class Ack(Struct, frozen=True):
    """A line of the log: a trial was ``suggested``, was ``converged`` or ``stopped``, ``finished``."""

    ack: str
    job_id: str
    trial_number: int
    batch_size: int


_A = TypeVar("_A", Suggestion, Verdict)


class Worker:
    """One connection: training after training of its jobs in turn, until the time is up.

    A server that cannot be reached is the end too, unless the worker is persistent.
    """

    def __init__(
        self,
        url: SplitResult,
        job_ids: Sequence[str],
        deadline: float,
        tally: Tally,
        log: FileIO | None,
        *,
        is_persistent: bool,
    ) -> None:
        self._url = url
        self._deadline = deadline
        self._tally = tally
        self._log = log
        self._connection = Connection()
        self._is_persistent = is_persistent
        self._suggestions = cycle(
            [request("GET", f"/jobs/batch_size?job_id={job_id}", url.netloc) for job_id in job_ids]
        )

    async def run(self) -> None:
        """Train until the deadline."""
        try:
            while time.perf_counter() < self._deadline:
                try:
                    await self._train()
                except Unreachable:
                    if not self._is_persistent:
                        break
                    await asyncio.sleep(PAUSE)
        finally:
            self._connection.close()

    async def _train(self) -> None:
        """Ask for a batch size, report a training that converges, finish the trial."""
        suggestion = self._read(SUGGEST, await self._call(SUGGEST, next(self._suggestions)), Suggestion)
        if suggestion is None:
            await asyncio.sleep(PAUSE)
            return
        self._acknowledge("suggested", suggestion)
        report = request("POST", "/report", self._url.netloc, _report(suggestion))
        verdict = self._read(REPORT, await self._call(REPORT, report), Verdict)
        if verdict is not None and verdict.stop_train:
            self._acknowledge("converged" if verdict.converged else "stopped", suggestion)
        finish = request("PATCH", "/trials", self._url.netloc, msgspec.json.encode(suggestion))
        if await self._call(FINISH, finish) is not None:
            self._acknowledge("finished", suggestion)

    async def _call(self, endpoint: str, data: bytes) -> bytes | None:
        """Send a request and return the body of its success.

        Raises:
            Unreachable: There is no connection, nor can one be made.
        """
        if not self._connection.is_open:
            await self._connect(endpoint)
        began = time.perf_counter()
        self._tally.attempts += 1
        try:
            answer = await self._connection.exchange(data)
        except Dropped:
            self._tally.failed(endpoint, "dropped")
            return None
        except asyncio.CancelledError:
            self._tally.failed(endpoint, "unanswered")
            raise
        if not answer.succeeded:
            self._tally.failed(endpoint, str(answer.status))
            return None
        self._tally.succeeded(endpoint, began, time.perf_counter())
        return answer.body

    async def _connect(self, endpoint: str) -> None:
        """Open a connection for a request to an endpoint."""
        try:
            self._connection = await Connection.open(self._url)
        except OSError:
            self._tally.failed(endpoint, "unreachable")
            raise Unreachable from None

    def _read(self, endpoint: str, body: bytes | None, kind: type[_A]) -> _A | None:
        """Return what a body says, where there is one."""
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            self._tally.failed(endpoint, "malformed")
            return None

    def _acknowledge(self, ack: str, trial: Suggestion) -> None:
        """Log what the server has promised to keep."""
        if self._log is not None:
            line = Ack(ack, trial.job_id, trial.trial_number, trial.batch_size)
            self._log.write(msgspec.json.encode(line) + b"\n")


def _report(trial: Suggestion) -> bytes:
    """Return a report that ends a trial; its cost depends on the batch size, and varies a little."""
    seconds = EPOCH_TIMES.get(trial.batch_size, 100.0) * (1 + trial.trial_number % 11 / 200)
    return msgspec.json.encode(
        {
            "job_id": trial.job_id,
            "batch_size": trial.batch_size,
            "trial_number": trial.trial_number,
            "time": seconds,
            "energy": seconds * POWER,
            "metric": 1.0,
            "current_epoch": 1,
        }
    )
