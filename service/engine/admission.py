"""Which tokens are in force, as this process knows it, and when each was last used."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Protocol, Self, TypeVar

from sqlalchemy import Connection

from service.clock import utc_now
from service.credentials import Token, recognise
from service.engine.sharing import Shared
from service.errors import DatabaseUnavailable, Overloaded, Unavailable
from service.store import tokens
from service.store.tokens import Issued

T = TypeVar("T")

log = logging.getLogger("batchbandit.tokens")

STALE_SECONDS = 1.0
"""How long a token that was made or revoked may go unnoticed."""


PATIENCE_SECONDS = 1.0
"""How long who can go by what was read before waits for the database."""


class Database(Protocol):
    """What admission needs of a store."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which writes nothing."""

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:
        """Run ``work`` in one durable transaction."""


class Admission:
    """Recognises tokens.

    All that are in force are read together, twice a second at most and only while somebody calls: a stranger
    who tries many neither fills memory nor makes the database work. ``limit`` bounds the callers who wait
    for that; one more is refused at once. Run it as a context: leaving it waits for what is being written.
    """

    def __init__(self, database: Database, limit: int, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._limit = limit
        self._clock = clock
        self._num_waiting = 0
        self._has_given_up = False
        self._issued = Issued({}, is_empty=False)
        self._read_at = float("-inf")
        self._reading = Shared(self._read)
        self._unnoted: set[str] = set()
        self._used: set[str] = set()
        self._noting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reading.ended()
        if self._noting is not None:
            await asyncio.wait([self._noting])

    def give_up(self) -> None:
        """Answer all who wait now that the database has not answered, and ask it no more."""
        self._has_given_up = True
        self._reading.give_up()
        if self._noting is not None:
            self._noting.cancel()

    async def issued(self) -> Issued:
        """Return the tokens in force, at most a second old.

        Raises:
            Unavailable: They cannot be read, or too many wait for them.
        """
        age = asyncio.get_running_loop().time() - self._read_at
        if age >= STALE_SECONDS:
            await self._wait()
        elif age >= STALE_SECONDS / 2 and not self._has_given_up:
            self._reading.begin()  # so that nobody waits where somebody calls all the time
        return self._issued

    async def last_issued(self) -> Issued:
        """Return the tokens in force as they were last read, if they cannot be read within a moment.

        Raises:
            Unavailable: They have never been read.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.issued()
        except (TimeoutError, Unavailable):
            if self._read_at == float("-inf"):
                raise DatabaseUnavailable from None
            return self._issued

    async def _wait(self) -> None:
        """Wait until they have been read."""
        if self._has_given_up:
            raise DatabaseUnavailable
        if self._num_waiting >= self._limit:
            raise Overloaded(f"{self._limit} requests are waiting already; try again in a moment.")
        self._num_waiting += 1
        try:
            await self._reading.done()
        finally:
            self._num_waiting -= 1

    async def _read(self) -> None:
        began = asyncio.get_running_loop().time()
        self._issued = await self._database.read(tokens.issued)
        self._read_at = began
        due = self._clock() - tokens.USED_EVERY
        self._unnoted = {
            token.token_id
            for token in self._issued.active.values()
            if token.last_used_timestamp is None or token.last_used_timestamp <= due
        }

    def recognise(self, text: str) -> Token | None:
        """Return which of the tokens that were just ``issued`` a text is, if any; keep that it was used."""
        token = recognise(text, self._issued.active)
        if token is not None and token.token_id in self._unnoted:
            self._unnoted.discard(token.token_id)
            self._used.add(token.token_id)
            if self._noting is None or self._noting.done():
                self._noting = asyncio.create_task(self._note(), name="last used")
        return token

    async def _note(self) -> None:
        """Write which tokens were used, beside the answer to who used them."""
        while self._used:
            used, self._used = self._used, set()
            work = partial(tokens.note_use, token_ids=used, now=self._clock())
            try:
                await self._database.transact(work)
            except DatabaseUnavailable:  # it is tried again when they are used again
                log.warning("it could not be kept that tokens were used")
