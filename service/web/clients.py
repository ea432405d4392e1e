"""The queues of clients that are waited for, and what they take up together."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Overloaded, ServiceError
from service.web.limits import (
    BODIES_LIMIT,
    LAST_PARTING_SECONDS,
    LAST_READING_SECONDS,
    PARTING_SECONDS,
    Limits,
)


class Client(Protocol):
    """A connection, as the queues see it."""

    @property
    def is_owed(self) -> bool:
        """Whether the client awaits an answer."""

    def expire(self) -> None:
        """End a wait that has been too long; the connection leaves its queue."""

    def drop(self) -> None:
        """End the connection without a word; it leaves its queue."""

    def refuse(self, error: ServiceError) -> None:
        """Answer what is being sent with a problem; the connection leaves its queue."""


class Queue(dict["Client", float]):
    """Connections that await the same of their clients, and since when; who came first is first."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def first(self) -> "Client":
        """Return the connection that has waited longest."""
        return next(iter(self))

    def free(self) -> Iterator["Client"]:
        """Go through the connections that owe no answer."""
        return (client for client in self if not client.is_owed)


def longest(*queues: Queue) -> Client | None:
    """Return the connection that has waited longest of those that owe nothing, None where there is none."""
    firsts = [(queue, client) for queue in queues for client in islice(queue.free(), 1)]
    return min(firsts, key=lambda first: first[0][first[1]])[1] if firsts else None


class Clients:
    """The connections of a process that await something of their clients."""

    def __init__(self, limits: Limits) -> None:
        self.connection_limit = limits.connection_limit
        self.is_stopping = False
        self.handshakes = Queue(limits.client_seconds)
        self.heads = Queue(limits.client_seconds)
        self.bodies = Queue(limits.client_seconds)
        self.readers = Queue(limits.client_seconds)
        self.idle = Queue(limits.keep_alive_seconds)
        self.parting = Queue(PARTING_SECONDS)
        self.body_bytes = 0
        self._queues = (self.handshakes, self.heads, self.bodies, self.readers, self.idle, self.parting)

    def stop(self) -> None:
        """Take no new clients, and wait less for those that are served to hang up."""
        self.is_stopping = True
        self.parting.seconds = LAST_PARTING_SECONDS
        self.readers.seconds = min(self.readers.seconds, LAST_READING_SECONDS)

    def expire(self, now: float) -> None:
        """End the waiting of all that have waited for too long; ``now`` is the loop's time."""
        for queue in self._queues:
            while queue and now - queue[queue.first()] > queue.seconds:
                queue.first().expire()

    def make_room(self, connections: Collection[object]) -> bool:
        """Drop connections until no more than the limit are open; tell whether there were enough to drop.

        Those go first that have waited longest for a client; before those that wait while it sends a body or
        takes an answer, the others; and none that owes an answer.
        """
        while len(connections) > self.connection_limit:
            client = longest(self.handshakes, self.heads, self.idle, self.parting)
            client = client or longest(self.bodies, self.readers)
            if client is None:
                return False
            client.drop()
        return True

    def keep(self, num_bytes: int, sender: Client) -> None:
        """Count a part of a body; refuse those whose rest has been awaited longest where it is too much.

        Raises:
            Overloaded: It is the sender's turn, or all others are whole.
        """
        self.body_bytes += num_bytes
        while self.body_bytes > BODIES_LIMIT:
            error = Overloaded("Too many bodies are kept already; try again in a moment.")
            client = next(iter(self.bodies), sender)
            if client is sender:
                raise error
            client.refuse(error)

    def weighing(self, num_bytes: int, app: ASGIApp) -> ASGIApp:
        """Return an application that, when it has answered, lets go of a body; also where nobody listens."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                self.body_bytes -= num_bytes

        return answer
