"""Those who watch what happens: one reader of the events a process, who tells all of them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, Self, TypeVar

from sqlalchemy import Connection

from service import metrics
from service.errors import Overloaded, ServiceError
from service.store import feed
from service.store.feed import Event, Events, Position, Watched
from service.store.tokens import Issued

T = TypeVar("T")

log = logging.getLogger("batchbandit.audience")

PAUSE_SECONDS = 0.5
"""Between two looks at what has happened."""
QUIET_SECONDS = 15.0
"""How long a listener waits for events before it is told that there are none."""
MOST_READ = 500
MOST_PENDING = 4 * MOST_READ
"""Events that wait for a listener; one for whom more would wait is left, and may come again."""


class Database(Protocol):
    """What the audience needs of a store."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which reads."""


class Admission(Protocol):
    """What the audience needs to know of tokens."""

    async def issued(self) -> Issued:
        """Return the tokens in force."""


class Listener:
    """Somebody who watches; ``token_id`` is None where that needed no token.

    ``position`` is behind all that it was told: at first where it goes on from, None where it is new.
    """

    def __init__(self, watched: Watched, position: Position | None, token_id: str | None) -> None:
        self.watched = watched
        self.position = position
        self.token_id = token_id
        self.is_over = False
        self._pending: list[Event] = []
        self._end: Position | None = None
        self._woken = asyncio.Event()

    def begin(self, position: Position) -> None:
        """Tell it from now on what happens behind a place; it has been told the rest."""
        self.position = self._end = position
        self.wake()

    def tell(self, events: Sequence[Event], end: Position) -> None:
        """Let events that were found up to a place wait for it, if it has begun, unless too many would."""
        if self._end is None:
            return
        # One that comes from another replica may know more than this one has seen.
        fresh = [event for event in events if event.position > self._end]
        if len(self._pending) + len(fresh) > MOST_PENDING:
            self.leave()
            return
        self._pending += fresh
        self._end = max(end, self._end)
        if fresh:
            self.wake()

    def wake(self) -> None:
        """End its waiting."""
        self._woken.set()

    def leave(self) -> None:
        """Tell it nothing more."""
        self.is_over = True
        self.wake()

    async def heard(self) -> Sequence[Event]:
        """Wait for events, though not for ever; return those that are due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await self._woken.wait()
        self._woken.clear()
        events, self._pending = self._pending, []
        self.position = self._end or self.position
        return events


class Audience:
    """All who watch: up to ``limit``, one more is refused.

    What happens is read only while somebody listens. Run it as a context: leaving it leaves them all.
    """

    def __init__(self, database: Database, admission: Admission, limit: int) -> None:
        self._database = database
        self._admission = admission
        self._limit = limit
        self._listeners: set[Listener] = set()
        self._head: Position | None = None
        self._is_over = False
        self._arrival = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read_forever(), name="audience")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def leave(self) -> None:
        """Tell nobody anything more."""
        self._is_over = True
        for listener in self._listeners:
            listener.leave()

    def join(self, listener: Listener) -> None:
        """Count a listener, until it has ``gone``.

        Raises:
            Overloaded: There are too many.
        """
        if len(self._listeners) >= self._limit:
            raise Overloaded(f"{self._limit} listeners are here already; try again in a moment.")
        self._listeners.add(listener)
        metrics.LISTENERS.set(len(self._listeners))
        self._arrival.set()
        if self._is_over:
            listener.leave()

    def gone(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)
        metrics.LISTENERS.set(len(self._listeners))

    async def follow(self, listener: Listener) -> AsyncIterator[Sequence[Event]]:
        """Go through what a listener is told, in order, from its position on: nothing where it is quiet."""
        while self._head is None and not listener.is_over:
            yield await listener.heard()
        try:
            while (missed := await self._missed(listener)) is not None:
                listener.position = missed.end
                yield missed.events
        except ServiceError as error:
            log.warning("a listener is left: %s", error)
            listener.leave()
        while not listener.is_over:
            yield await listener.heard()

    async def _missed(self, listener: Listener) -> Events | None:
        """Return a part of what a listener has missed; None where it is over, or begins with what is new."""
        position = listener.position
        if self._head is None or listener.is_over:
            return None
        if position is None:
            listener.begin(self._head)
            return None
        # Another replica may have told it more. Or else the database has been restored to an earlier state.
        if position > self._head and position > await self._database.read(feed.head):
            position = self._head
        if position >= self._head:
            listener.begin(position)
            return None
        async with self._turn:  # so that many who come again at once leave connections to others
            reading = partial(
                feed.between,
                after=position,
                until=self._head,
                limit=MOST_READ,
                watched=listener.watched,
            )
            return await self._database.read(reading)

    async def _read_forever(self) -> None:
        while True:
            if not self._listeners:
                self._head = None
                self._arrival.clear()
                await self._arrival.wait()
            is_more = False
            try:
                is_more = await self._look()
            except ServiceError as error:
                log.warning("what happens cannot be read: %s", error)
            except Exception:
                log.exception("what happens could not be told")
            if not is_more:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self) -> bool:
        """Tell all listeners what is new; tell whether there may be more."""
        self._dismiss(await self._admission.issued())
        if self._head is None:
            self._head = await self._database.read(feed.head)
            for listener in self._listeners:
                listener.wake()
            return False
        found = await self._database.read(partial(feed.news, after=self._head, limit=MOST_READ))
        self._head = found.end
        by_job: Mapping[str, list[Event]] = defaultdict(list)
        for event in found.events:
            by_job[event.job_id].append(event)
        for listener in self._listeners:
            job_id = listener.watched.job_id
            events = found.events if job_id is None else by_job.get(job_id, [])
            listener.tell([event for event in events if listener.watched.includes(event.job_id)], found.end)
        return len(found.events) == MOST_READ

    def _dismiss(self, issued: Issued) -> None:
        """Leave the listeners whose tokens are no longer in force."""
        for listener in self._listeners:
            if issued.is_empty if listener.token_id is None else listener.token_id in issued.active:
                continue
            listener.leave()
