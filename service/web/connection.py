"""Connections to clients that are many, slow, silent or hostile: uvicorn's, with limits.

No part of a request reaches the application: it is begun when all of it is here. Wherever the service waits
for its client, the connection stands in a queue; one that has stood there for too long is ended, and where
there are too many, the one that has waited longest gives way.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service import metrics
from service.errors import (
    BodyTooLarge,
    HeadTooLarge,
    MalformedRequest,
    Overloaded,
    RequestTimeout,
    ServiceError,
    Unavailable,
)
from service.web.answers import refusal_of
from service.web.clients import Clients, Queue
from service.web.observation import OTHER

HEAD_LIMIT = 1 << 16
"""Bytes of a request line with its headers."""
BODY_LIMIT = 1 << 20
"""Bytes of a body."""
FRAMED_LIMIT = 8 * BODY_LIMIT
"""Bytes of a body as it is sent, its chunks' frames and trailers included."""
PARTIAL_BODIES_LIMIT = 64 * BODY_LIMIT
"""Bytes of bodies, in all connections, whose rest is awaited."""
MOST_PIPELINED = 8
"""Requests that a client may send ahead while one is answered."""
VERSIONS = ("1.1", "1.0")


class Connection(HttpToolsProtocol):
    """A connection to one client."""

    cycle: Any  # None until the first request, which uvicorn does not say
    scope: Any

    def __init__(self, clients: Clients, **uvicorns: Any) -> None:  # noqa: ANN401  (what uvicorn gives each)
        super().__init__(**uvicorns)
        self._clients = clients
        self._queue: Queue | None = None
        self._request_bytes = 0
        self._body_bytes = 0
        self._begun: tuple[Any, Any] | None = None
        self._answered: Any = None
        self._refusal: ServiceError | None = None
        self._has_parted = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  (as uvicorn has it)
        """Take the place of the connection that has waited longest where there is none left."""
        super().connection_made(transport)
        if self._clients.is_stopping:
            self.transport.close()
            return
        limit = self._clients.connection_limit
        while len(self.connections) > limit:
            if not self._clients.give_way():
                self.refuse(Overloaded(f"{limit} connections are at work already; try again in a moment."))
                return
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._hang_up()
        self._forget_part()
        self._stand(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the client has been refused."""
        if self._refusal is not None:
            return
        self._request_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            # What is raised in the parser's callbacks comes as the context of its own error.
            cause = error.__context__
            self.refuse(cause if isinstance(cause, ServiceError) else MalformedRequest(str(error)))
            return
        self._settle()
        if self._queue is self._clients.bodies:
            self._weigh_body()
        elif self._queue is not self._clients.heads:
            self._request_bytes = 0
        elif self._request_bytes > HEAD_LIMIT:
            self.refuse(HeadTooLarge(HEAD_LIMIT))

    def _feed(self, data: bytes) -> None:
        """Parse; a request for another protocol is one for this, as RFC 9110 allows.

        The parser ends it with its head. The same head without the request is followed by a body.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._plain_head() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)  # one that has seen no last request
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _plain_head(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.scope["headers"] if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _should_upgrade(self) -> bool:
        return True  # keeps uvicorn from beginning what ``_feed`` begins anew

    def on_headers_complete(self) -> None:
        """Begin a request, if it may be begun.

        Raises:
            ServiceError: It may not.
        """
        if self._request_bytes > HEAD_LIMIT and self._head_size() > HEAD_LIMIT:
            raise HeadTooLarge(HEAD_LIMIT)
        if self.parser.get_http_version() not in VERSIONS:
            raise MalformedRequest("it is not HTTP/1.1")
        if len(self.pipeline) >= MOST_PIPELINED:
            raise Overloaded(
                f"{MOST_PIPELINED} requests of this connection wait already; send one at a time."
            )
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise MalformedRequest("this is no proxy")
            return
        super().on_headers_complete()
        self._request_bytes = 0
        self.headers = []  # what follows a body in chunks is no header

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401  (uvicorn's own)
        if cycle.more_body:
            self._begun = (cycle, app)
        else:
            self._answered = cycle
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body.

        Raises:
            BodyTooLarge: That is too much.
        """
        if self.parser.should_upgrade():
            return
        self.cycle.body += body
        if len(self.cycle.body) > BODY_LIMIT:
            raise BodyTooLarge(BODY_LIMIT)

    def on_message_complete(self) -> None:
        """Let the application answer a request that is whole."""
        super().on_message_complete()
        self._request_bytes = 0
        self._stand(None)  # what follows it in the same data is waited for anew
        if self._begun is not None and not self._begun[0].more_body:
            begun, self._begun = self._begun, None
            self._start_asgi_task(*begun)

    def _weigh_body(self) -> None:
        """Refuse a body that will be too large; let others give way where too much is kept of too many."""
        declared = next((value for name, value in self.scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > BODY_LIMIT or self._request_bytes > FRAMED_LIMIT:
            self.refuse(BodyTooLarge(BODY_LIMIT))
            return
        if self.cycle.waiting_for_100_continue and self._begun is not None:
            self.cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._clients.partial_bytes += len(self.cycle.body) - self._body_bytes
        self._body_bytes = len(self.cycle.body)
        while self._clients.partial_bytes > PARTIAL_BODIES_LIMIT:
            self._clients.bodies.first().refuse(
                Overloaded("Too many bodies are awaited; try again in a moment.")
            )

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it: as uvicorn does, without a timer a request."""
        self.server_state.total_requests += 1
        self._answered = None
        if self.pipeline and not self.transport.is_closing():
            self._start_asgi_task(*self.pipeline.pop())
        if self._refusal is not None and self._answered is None:
            self._part(self._refusal)
        if not self.transport.is_closing():
            self.flow.resume_reading()
        self._settle()

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answers."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Go on with a client that has taken its answers."""
        super().resume_writing()
        self._settle()

    def _settle(self) -> None:
        """Stand where what is due from the client is awaited, and nowhere where the service is to act."""
        if self.flow.write_paused:
            self._stand(self._clients.readers)
        elif self._has_parted or self.transport.is_closing():
            self._stand(self._clients.parting)
        elif self.flow.read_paused or self._refusal is not None:
            self._stand(None)
        elif self.cycle is None or self.cycle.scope is not self.scope:
            self._stand(self._clients.heads)
        elif self.cycle.more_body:
            self._stand(self._clients.bodies)
        else:
            self._stand(self._clients.idle if self.cycle.response_complete else None)

    def _stand(self, queue: Queue | None) -> None:
        if queue is self._queue:
            return
        if self._queue is not None:
            del self._queue[self]
        if self._queue is self._clients.bodies:
            self._clients.partial_bytes -= self._body_bytes
            self._body_bytes = 0
        if queue is not None:
            queue[self] = self.loop.time()
        self._queue = queue

    def _is_midway(self) -> bool:
        """Tell whether a part of a request has come."""
        if self.cycle is not None and self.cycle.scope is self.scope:
            return bool(self.cycle.more_body)
        return self.scope is not None

    def expire(self) -> None:
        """End a client that has been waited for too long: with words where it has begun a request."""
        is_sending = self._queue is self._clients.heads or self._queue is self._clients.bodies
        if is_sending and self._is_midway():
            self.refuse(RequestTimeout(self._clients.heads.seconds))
        else:
            self.drop()

    def drop(self) -> None:
        """End the connection without a word."""
        self._stand(None)
        self._hang_up()
        self.connections.discard(self)
        self.transport.abort()

    def _hang_up(self) -> None:
        """Keep what is answered from being written; uvicorn thinks of the last request alone."""
        if self._answered is not None:
            self._answered.disconnected = True

    def refuse(self, error: ServiceError) -> None:
        """Answer what the client is sending with a problem, once it has the answers that it is owed."""
        self._refusal = error
        self._forget_part()
        if self._answered is None:
            self._part(error)
        self._settle()

    def _forget_part(self) -> None:
        """Let go of a request that will not become whole."""
        self._begun = None
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        if self.cycle is not None and self.cycle.more_body:
            self.cycle = None  # as it was at first

    def _part(self, error: ServiceError) -> None:
        """Say a last word; drop what still comes until the client has hung up."""
        if self.transport.is_closing():
            return
        response = refusal_of(error)
        metrics.REQUESTS.labels(OTHER, str(response.status_code)).inc()
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        head = b"".join(b"%s: %s\r\n" % header for header in dict(headers).items())
        self.transport.write(STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body))
        self._has_parted = True
        if self.transport.can_write_eof() and not self._clients.is_stopping:
            self.transport.write_eof()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Answer what was accepted, refuse what is not whole, and close."""
        if self._has_parted:
            self.transport.close()
        elif self._is_midway():
            self.refuse(Unavailable("The service is stopping; try again in a moment."))
        elif self._refusal is None:
            super().shutdown()
