"""How much clients may take up, and the queues of those that are waited for."""

from typing import Protocol

from msgspec import Struct

from service.errors import ServiceError

PARTING_SECONDS = 5.0
"""How long what a client goes on sending is dropped, so that it reads the last answer and not of a reset."""


class Client(Protocol):
    """A connection, as the queues see it."""

    def expire(self) -> None:
        """End a wait that has been too long; the connection leaves its queue."""

    def drop(self) -> None:
        """End the connection without a word; it leaves its queue."""

    def refuse(self, error: ServiceError) -> None:
        """Answer what is being sent with a problem; the connection leaves its queue."""


class Limits(Struct, frozen=True):
    """What the clients of a process may take up.

    ``connection_limit`` may be open. A client may take ``client_seconds`` for a head, counted from its first
    byte or from the connection, as many for a body and for an answer, and may be silent between two requests
    for ``keep_alive_seconds``.
    """

    connection_limit: int = 5000
    client_seconds: float = 20.0
    keep_alive_seconds: float = 75.0


class Queue(dict["Client", float]):
    """Connections that await the same of their clients, and since when; who came first is first."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def first(self) -> "Client":
        """Return the connection that has waited longest."""
        return next(iter(self))


class Clients:
    """The connections of a process that await something of their clients."""

    def __init__(self, limits: Limits) -> None:
        self.connection_limit = limits.connection_limit
        self.is_stopping = False
        self.heads = Queue(limits.client_seconds)
        self.bodies = Queue(limits.client_seconds)
        self.readers = Queue(limits.client_seconds)
        self.idle = Queue(limits.keep_alive_seconds)
        self.parting = Queue(PARTING_SECONDS)
        self.partial_bytes = 0
        self._queues = (self.heads, self.bodies, self.readers, self.idle, self.parting)

    def expire(self, now: float) -> None:
        """End the waiting of all that have waited for too long; ``now`` is the loop's time."""
        for queue in self._queues:
            while queue and now - queue[queue.first()] > queue.seconds:
                queue.first().expire()

    def give_way(self) -> bool:
        """Drop the connection that has waited longest of all; tell whether there was one."""
        queues = [queue for queue in self._queues if queue]
        if queues:
            min(queues, key=lambda queue: queue[queue.first()]).first().drop()
        return bool(queues)
