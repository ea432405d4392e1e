"""Group commit: the commands that arrive while a transaction is in flight make up the next one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from sqlalchemy import Connection

from service import metrics
from service.context import Asked, concerned, on_behalf_of
from service.engine.batch import KEY_SECONDS, run_batch
from service.engine.commands import Command
from service.errors import DatabaseUnavailable, Overloaded, ServiceError, Unavailable
from service.tracing import Tracing

T = TypeVar("T")

log = logging.getLogger("batchbandit.engine")

# Beyond this many commands a transaction, latency grows and throughput no longer does.
LARGEST_BATCH = 256
# From reading a request to submitting its command it is three passes of the event loop.
QUIET_PASSES = 5
# While the database is away, a transaction takes all the time it may, and clients forget what waits for it.
PATIENCE_SECONDS = 15.0

UNFINISHED = (
    "The service stops and the database has not answered: what was asked for may or may not have been done; "
    "ask again."
)


class Database(Protocol):
    """What the engine needs of a store."""

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:
        """Run ``work`` in one durable transaction; ``is_lone`` says that nobody else waits for the loop."""


class Group(NamedTuple):
    """Commands that were submitted together, since when, where their outcomes are awaited, and for whom."""

    commands: Sequence[Command]
    since: float
    outcomes: asyncio.Future[list[object]]
    requests: tuple[Asked, ...]

    def answer(self, outcomes: list[object]) -> None:
        """Give the outcomes, unless whoever asked has gone."""
        if not self.outcomes.done():
            self.outcomes.set_result(outcomes)


class GroupCommit:
    """Carries out commands in batches, one transaction after the other; answers when they are durable.

    A lone command never waits for company; commands submitted together are in one transaction.
    ``limit`` bounds the commands that wait; one more is refused at once. First answers to calls with a key
    are kept for ``key_seconds``. Run it as a context: leaving it answers what was accepted and accepts
    nothing more.
    """

    def __init__(
        self,
        database: Database,
        limit: int,
        key_seconds: float = KEY_SECONDS,
        tracing: Tracing | None = None,
    ) -> None:
        self._database = database
        self._tracing = tracing
        self._limit = limit
        self._key_seconds = key_seconds
        self._waiting: deque[Group] = deque()
        self._num_waiting = 0
        self._in_flight: list[Group] = []
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
        [outcome] = await self.submit_together([command])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_together(self, commands: Sequence[Command]) -> list[object]:
        """Carry commands out in one transaction; return the answer or exception of each once it is durable.

        Raises:
            Unavailable: The queue is full, or the service is stopping; nothing was done.
        """
        if self._is_closing:
            raise Unavailable("The service is stopping; try again in a moment.")
        if self._num_waiting >= self._limit:
            raise Overloaded(f"{self._limit} requests are waiting already; try again in a moment.")
        outcomes: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append(Group(commands, time.monotonic(), outcomes, concerned.get()))
        self._num_waiting += len(commands)
        metrics.WAITING.set(self._num_waiting)
        self._arrival.set()
        return await outcomes

    async def _run(self) -> None:
        while self._waiting or not self._is_closing:
            if not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
                continue
            groups = [group for group in self._take() if self._is_awaited(group)]
            self._in_flight = groups
            commands = [command for group in groups for command in group.commands]
            now = time.monotonic()
            for group in groups:
                metrics.WAITS.observe(now - group.since)
            with on_behalf_of(asked for group in groups for asked in group.requests):
                outcomes = iter(await self._commit(commands) if commands else [])
            for group in groups:
                group.answer(list(islice(outcomes, len(group.commands))))
            await self._settle()

    def give_up(self) -> None:
        """Answer all who wait now, whatever becomes of the transaction in flight, and accept nothing more."""
        self._is_closing = True
        for group in self._in_flight:
            group.answer([DatabaseUnavailable(UNFINISHED)] * len(group.commands))
        for group in self._waiting:
            group.answer([DatabaseUnavailable()] * len(group.commands))

    def _is_awaited(self, group: Group) -> bool:
        """Tell whether somebody waits; who has waited too long is answered that nothing was done."""
        if time.monotonic() - group.since > PATIENCE_SECONDS:
            group.answer([DatabaseUnavailable()] * len(group.commands))
        return not group.outcomes.done()

    async def _settle(self) -> None:
        """Let the answers go out and what follows them come in, until some passes of the loop bring nothing.

        Who was answered together asks again together. A transaction for the first of them alone, while the
        others are on their way, would cost as much as one for all.
        """
        quiet = 0
        while quiet < QUIET_PASSES:
            before = self._num_waiting
            await asyncio.sleep(0)
            quiet = 0 if before < self._num_waiting < LARGEST_BATCH else quiet + 1

    def _take(self) -> list[Group]:
        """Take the first group and those after it that fit into a batch with it."""
        taken: list[Group] = []
        room = LARGEST_BATCH
        while self._waiting and (not taken or len(self._waiting[0].commands) <= room):
            taken.append(self._waiting.popleft())
            room -= len(taken[-1].commands)
        self._num_waiting -= LARGEST_BATCH - room
        metrics.WAITING.set(self._num_waiting)
        return taken

    def _traced(self, num_commands: int) -> AbstractContextManager[None]:
        if self._tracing is None:
            return nullcontext()
        return self._tracing.transaction(concerned.get(), num_commands)

    async def _commit(self, commands: Sequence[Command]) -> list[object]:
        """Return an outcome a command, also where the transaction fails as a whole."""
        metrics.COMMANDS.observe(len(commands))
        try:
            with metrics.TRANSACTIONS.time(), self._traced(len(commands)):
                done = await self._database.transact(
                    partial(run_batch, commands=commands, key_seconds=self._key_seconds),
                    is_lone=len(commands) == 1 and not self._waiting,
                )
        except ServiceError as error:
            log.exception("transaction refused")
            return [error] * len(commands)
        except Exception as error:
            log.exception("transaction failed")
            if len(commands) == 1:
                return [error]
            # What broke the transaction is one command's doing: alone, it breaks its own.
            return [outcome for command in commands for outcome in await self._commit([command])]
        metrics.count(done.happenings)
        return done.outcomes
