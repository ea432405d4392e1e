"""Group commit: the commands that arrive while a transaction is in flight make up the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection

from service.engine.batch import run_batch
from service.engine.commands import Command
from service.errors import Overloaded, ServiceError, Unavailable

T = TypeVar("T")

log = logging.getLogger("batchbandit.engine")

# Beyond this many commands a transaction, latency grows and throughput no longer does.
LARGEST_BATCH = 256


class Database(Protocol):
    """What the engine needs of a store."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one durable transaction."""


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class GroupCommit:
    """Carries out commands in batches, one transaction after the other; answers when they are durable.

    A lone command never waits for company. ``limit`` bounds the commands that wait; one more is refused at
    once. Run it as a context: leaving it answers what was accepted and accepts nothing more.
    """

    def __init__(self, database: Database, limit: int, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._limit = limit
        self._clock = clock
        self._waiting: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._arrival = asyncio.Event()
        self._is_closing = False
        self._loop_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop_task = asyncio.create_task(self._run(), name="group commit")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closing = True
        self._arrival.set()
        if self._loop_task is not None:
            await self._loop_task

    async def submit(self, command: Command) -> Any:  # noqa: ANN401  (each command names its answer)
        """Carry out a command; return its answer once it is durable.

        Raises:
            ServiceError: The command is refused.
            Unavailable: The queue is full, or the service is stopping; nothing was done.
        """
        if self._is_closing:
            raise Unavailable("The service is stopping; try again in a moment.")
        if len(self._waiting) >= self._limit:
            raise Overloaded(f"{self._limit} requests are waiting already; try again in a moment.")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        self._arrival.set()
        return await answer

    async def _run(self) -> None:
        while self._waiting or not self._is_closing:
            if not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
                continue
            size = min(len(self._waiting), LARGEST_BATCH)
            taken = [self._waiting.popleft() for _ in range(size)]
            batch = [(command, answer) for command, answer in taken if not answer.cancelled()]
            outcomes = await self._commit([command for command, _ in batch]) if batch else []
            for (_, answer), outcome in zip(batch, outcomes, strict=True):
                if answer.cancelled():  # whoever asked has gone; what they asked for is done
                    continue
                if isinstance(outcome, Exception):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)

    async def _commit(self, commands: Sequence[Command]) -> list[object]:
        """Return an outcome a command, also where the transaction fails as a whole."""
        try:
            return await self._database.transact(partial(run_batch, commands=commands, now=self._clock()))
        except ServiceError as error:
            log.exception("transaction refused")
            return [error] * len(commands)
        except Exception as error:
            log.exception("transaction failed")
            if len(commands) == 1:
                return [error]
            # What broke the transaction is one command's doing: alone, it breaks its own.
            return [outcome for command in commands for outcome in await self._commit([command])]
