"""Work that is done once for all who ask for it meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

from service.errors import DatabaseUnavailable


class Shared:
    """Reads from the database, never two at a time: who comes while one is in flight awaits its end.

    Who gives up leaves the others waiting.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> asyncio.Task[None]:
        """Begin the work unless it has begun; return its end."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._work())
            self._task.add_done_callback(_look_at)
        return self._task

    async def done(self) -> None:
        """Wait until the work is done.

        Raises:
            DatabaseUnavailable: It was given up; or what else the work raises.
        """
        task = self.begin()
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise DatabaseUnavailable from None
            raise

    def give_up(self) -> None:
        """End the work, and the waiting of all."""
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Wait for the work, whatever comes of it."""
        if self._task is not None:
            await asyncio.wait([self._task])


def _look_at(task: asyncio.Task[None]) -> None:
    """Keep the loop from logging what nobody waited for."""
    if not task.cancelled():
        task.exception()
