"""Connections that are to speak TLS, until they do."""

import asyncio
import ssl
from typing import Any

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]  # its types leave it out

from service.errors import ServiceError
from service.web.clients import Clients
from service.web.connection import Connection


class Handshake(SSLProtocol):  # type: ignore[misc]  # uvloop's own, which has no types
    """A connection whose two sides have not agreed on keys yet; when they have, it is one to a client.

    Servers of the loop tell of a TLS connection only then: silent ones would count nowhere until a minute
    is over.
    """

    is_owed = False

    def __init__(self, context: ssl.SSLContext, clients: Clients, **uvicorns: Any) -> None:  # noqa: ANN401  (what uvicorn gives each)
        self._clients = clients
        self._connection = Connection(clients, **uvicorns)
        self._connections: set[Any] = self._connection.connections
        self._carrier: Any = None
        loop = self._connection.loop
        agreed: asyncio.Future[None] = loop.create_future()
        agreed.add_done_callback(self._end)
        super().__init__(
            loop, self._connection, context, agreed, server_side=True, call_connection_made=False
        )

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to agree, unless there is no place left."""
        self._carrier = transport
        self._connections.add(self)
        self._clients.handshakes[self] = self._connection.loop.time()
        super().connection_made(transport)
        if self._clients.is_stopping or not self._clients.make_room(self._connections):
            self.drop()

    def _end(self, agreed: asyncio.Future[None]) -> None:
        failed = agreed.exception()
        is_dropped = self not in self._connections
        self._leave()
        if failed is None and not is_dropped:
            self._connection.connection_made(self._get_app_transport())

    def _leave(self) -> None:
        self._connections.discard(self)
        self._clients.handshakes.pop(self, None)

    def expire(self) -> None:
        """End a handshake that has taken too long."""
        self.drop()

    def drop(self) -> None:
        """End the connection: there are no words yet that the client would understand."""
        self._leave()
        self._carrier.abort()

    def refuse(self, error: ServiceError) -> None:
        """End the connection, whatever is the matter."""
        del error
        self.drop()

    def shutdown(self) -> None:
        """End the connection: the service stops."""
        self.drop()
