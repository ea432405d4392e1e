"""Connections to clients that are many, slow, silent or hostile: uvicorn's, with limits.

No part of a request reaches the application: it is begun when all of it is here. Wherever the service waits
for its client, the connection stands in a queue; one that has stood there for too long is ended, and where
there are too many, the one that has waited longest gives way.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service import errors
from service.web.answers import refusal_of
from service.web.clients import Clients, Queue
from service.web.limits import BODY_LIMIT, FRAMED_LIMIT, HEAD_LIMIT, MOST_PIPELINED
from service.web.observation import REQUEST_ID, note_refusal
from service.web.offers import Unswayed

ENDLESS = "batchbandit.endless"
"""In the scope of a request whose answer lasts for as long as its client listens."""


class Connection(Unswayed):
    """A connection to one client."""

    cycle: Any  # None until the first request, which uvicorn does not say
    scope: Any
    flow: Any  # None until the connection is made

    def __init__(self, clients: Clients, **uvicorns: Any) -> None:  # noqa: ANN401  (what uvicorn gives each)
        super().__init__(**uvicorns)
        self._clients = clients
        self._queue: Queue | None = None
        self._request_bytes = 0
        self._body_bytes = 0
        self._begun: tuple[Any, Any] | None = None
        self._answered: Any = None
        self._refusal: errors.ServiceError | None = None
        self._has_parted = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  (as uvicorn has it)
        """Take the place of the connection that has waited longest where there is none left."""
        super().connection_made(transport)
        if self._clients.is_stopping:
            self.transport.close()
            return
        if not self._clients.make_room(self.connections):
            limit = self._clients.connection_limit
            self.refuse(errors.Overloaded(f"{limit} connections are at work already; try again in a moment."))
            return
        self._settle()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Let a client that has said all have the answers that it is owed, where its side may close alone.

        One that is owed an answer without end has hung up.
        """
        self._forget_part()
        if self._answered is None or self.scheme == "https" or ENDLESS in self._answered.scope:
            return False
        if self._refusal is None:
            last = self.pipeline[0][0] if self.pipeline else self._answered
            last.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        if self.flow is None:  # TLS has come to nothing
            return
        self._hang_up()
        self._forget_part()
        self._release(self._body_bytes)  # of those sent ahead
        self._stand(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the client has been refused."""
        if self._refusal is not None:
            return
        self._request_bytes += len(data)
        try:
            self.feed(data)
        except httptools.HttpParserError as error:
            # What is raised in the parser's callbacks comes as the context of its own error.
            cause = error.__context__
            self.refuse(
                cause if isinstance(cause, errors.ServiceError) else errors.MalformedRequest(str(error))
            )
            return
        self._settle()
        # What has come decides, whether or not the client takes its answers.
        if self._awaits_body():
            self._weigh_body()
        elif not self._awaits_head():
            self._request_bytes = 0
        elif self._request_bytes > HEAD_LIMIT:
            self.refuse(errors.HeadTooLarge(HEAD_LIMIT))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what follows a body in chunks is none."""
        if self._awaits_head():
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin a request, if it may be begun.

        Raises:
            ServiceError: It may not.
        """
        if self._head_size() > HEAD_LIMIT:
            raise errors.HeadTooLarge(HEAD_LIMIT)
        if self.parser.get_http_version() not in {"1.1", "1.0"}:
            raise errors.MalformedRequest("it is not HTTP/1.1")
        if len(self.pipeline) >= MOST_PIPELINED:
            raise errors.Overloaded(
                f"{MOST_PIPELINED} requests of this connection wait already; send one at a time."
            )
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise errors.MalformedRequest("this is no proxy")
            return
        super().on_headers_complete()
        self._request_bytes = 0

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401  (uvicorn's own)
        if cycle.more_body:
            self._begun = (cycle, app)
        else:
            self._answered = cycle
            size = len(cycle.body)
            self._body_bytes -= size
            if size:
                app = self._clients.weighing(size, app)
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body.

        Raises:
            BodyTooLarge: That is too much.
            Overloaded: All clients together send too much.
        """
        if self.parser.should_upgrade():
            return
        self.cycle.body += body
        self._body_bytes += len(body)
        self._clients.keep(len(body), self)
        if len(self.cycle.body) > BODY_LIMIT:
            raise errors.BodyTooLarge(BODY_LIMIT)

    def on_message_complete(self) -> None:
        """Let the application answer a request that is whole."""
        super().on_message_complete()
        self._request_bytes = 0
        self._stand(None)  # what follows it in the same data is waited for anew
        if self._begun is not None and not self._begun[0].more_body:
            begun, self._begun = self._begun, None
            self._start_asgi_task(*begun)

    def _weigh_body(self) -> None:
        """Refuse a body that will be too large; ask for one that is held back."""
        declared = next((value for name, value in self.scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > BODY_LIMIT or self._request_bytes > FRAMED_LIMIT:
            self.refuse(errors.BodyTooLarge(BODY_LIMIT))
            return
        if self.cycle.waiting_for_100_continue and self._begun is not None:
            self.cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        elif self._awaits_head():
            self._stand(self._clients.heads)
        elif self._awaits_body():
            self._stand(self._clients.bodies)
        else:
            self._stand(self._clients.idle if self.cycle.response_complete else None)

    def _stand(self, queue: Queue | None) -> None:
        if queue is self._queue:
            return
        if self._queue is not None:
            del self._queue[self]
        if queue is not None:
            queue[self] = self.loop.time()
        self._queue = queue

    def _awaits_head(self) -> bool:
        """Tell whether a head is due, of which a part may have come."""
        return self.cycle is None or self.cycle.scope is not self.scope

    def _awaits_body(self) -> bool:
        """Tell whether the rest of a body is due."""
        return not self._awaits_head() and bool(self.cycle.more_body)

    @property
    def is_owed(self) -> bool:
        """Whether the client awaits an answer."""
        return self._answered is not None

    def _is_midway(self) -> bool:
        """Tell whether a part of a request has come."""
        return self._awaits_body() or (self._awaits_head() and self.scope is not None)

    def expire(self) -> None:
        """End a client that has been waited for too long: with words where it has begun a request."""
        is_sending = self._queue is self._clients.heads or self._queue is self._clients.bodies
        if is_sending and self._is_midway():
            self.refuse(errors.RequestTimeout(self._clients.heads.seconds))
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

    def refuse(self, error: errors.ServiceError) -> None:
        """Answer what the client is sending with a problem, once it has the answers that it is owed."""
        self._refusal = error
        self._forget_part()
        if self._answered is None:
            self._part(error)
        else:
            self.flow.pause_reading()
        self._settle()

    def _forget_part(self) -> None:
        """Let go of a request that will not become whole."""
        self._begun = None
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        if self.cycle is not None and self.cycle.more_body:
            self._release(len(self.cycle.body))
            self.cycle = None  # as it was at first

    def _release(self, num_bytes: int) -> None:
        """Count bytes of bodies no longer that no request will have."""
        self._body_bytes -= num_bytes
        self._clients.body_bytes -= num_bytes

    def _part(self, error: errors.ServiceError) -> None:
        """Say a last word; drop what still comes until the client has hung up."""
        if self.transport.is_closing():
            return
        response = refusal_of(error)
        request_id = note_refusal(error)
        said = [*response.raw_headers, (REQUEST_ID, request_id.encode()), (b"connection", b"close")]
        headers = [*self.server_state.default_headers, *said]
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
            self.refuse(errors.Unavailable("The service is stopping; try again in a moment."))
        elif self._refusal is None:
            super().shutdown()
        self._settle()
