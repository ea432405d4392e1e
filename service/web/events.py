"""What happens, as an event stream: ``text/event-stream`` of the HTML standard, section 9.2."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.engine.audience import Audience, Listener
from service.errors import Flaw, InvalidRequest
from service.store.feed import Event, Position, Watched
from service.web.access import ANYBODY, Caller
from service.web.answers import FOR_BROWSERS
from service.web.connection import ENDLESS
from service.web.query import QueryDecoder
from service.web.wire import NO_NUL, JobId

HEADER = b"last-event-id"
RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a client comes again whose stream has ended."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back until there are many
    *FOR_BROWSERS,
]


class EventStream(StreamingResponse):
    """What a listener is told, for as long as it listens."""

    def __init__(self, audience: Audience, listener: Listener) -> None:
        super().__init__(stream(audience, listener))
        self._audience = audience
        self._listener = listener

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002  (it is given none)
        """Set the headers as they are sent."""
        self.raw_headers = list(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; forget the listener when it has hung up, or is left."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._audience.gone(self._listener)


async def stream(audience: Audience, listener: Listener) -> AsyncIterator[bytes]:
    """Go through what a listener is sent.

    Where it is told nothing, a comment shows that the service is there; with it comes the place from which
    it goes on should it come again, which dispatches nothing in a browser.
    """
    yield RETRY
    told = None
    async for events in audience.follow(listener):
        if events:
            yield b"".join(map(frame_of, events))
            told = events[-1].position
        elif not listener.is_over:
            is_ahead = listener.position is not None and listener.position != told
            yield b":\nid: %s\n\n" % str(listener.position).encode() if is_ahead else b":\n\n"
            told = listener.position


def frame_of(event: Event) -> bytes:
    """Return an event as it is sent."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        str(event.position).encode(),
        event.kind.value.encode(),
        event.data,
    )


class EventsAsked(Struct, frozen=True, kw_only=True):
    """The query of the event stream."""

    job_id: JobId | None = None
    prefix: Annotated[str, Meta(max_length=400, pattern=NO_NUL, description="Of the job_id")] = ""
    after: Annotated[str, Meta(description="The id of an event, where there is no Last-Event-ID")] = ""


_asked = QueryDecoder(EventsAsked)


async def events(request: Request) -> Response:
    """Tell what happens, until the client hangs up."""
    query = _asked.read(request)
    token_id = None if request.user is ANYBODY else request.user.actor
    listener = Listener(watched_of(query, request.user), position_of(request, query), token_id)
    audience: Audience = request.app.state.audience
    audience.join(listener)
    request.scope[ENDLESS] = True
    return EventStream(audience, listener)


def watched_of(query: EventsAsked, caller: Caller) -> Watched:
    """Return whose events are asked for, as far as the caller reaches.

    Raises:
        Forbidden: The caller reaches none of them.
    """
    if query.job_id is not None:
        caller.ensure_reaches(query.job_id)
    if not caller.job_id_prefix.startswith(query.prefix):
        caller.ensure_reaches(query.prefix)
    return Watched(query.job_id, max(query.prefix, caller.job_id_prefix, key=len))


def position_of(request: Request, query: EventsAsked) -> Position | None:
    """Return where a client goes on: where it was left, or else where it asks for; None where it is new.

    Raises:
        InvalidRequest: It is no place.
    """
    left = next((value for name, value in request.scope["headers"] if name == HEADER), b"").decode("latin-1")
    text = left or query.after
    try:
        return Position.read(text) if text else None
    except ValueError as error:
        place = ("header", HEADER.decode()) if left else ("query", "after")
        raise InvalidRequest(Flaw(place, "Expected the id of an event", "value_error")) from error
