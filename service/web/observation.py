"""What is kept of requests: figures, a line in the log, a span where they are traced."""

import logging
import re
import secrets
import time
from collections.abc import Iterable
from http import HTTPStatus

from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.context import Asked, concerned
from service.errors import ServiceError
from service.logs import fields
from service.tracing import Tracing
from service.web.answers import kind_of

OTHER = "other"
"""What is no call of the service: strangers cannot make up names that are kept."""
REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[\x21-\x7e]{1,128}", re.ASCII)

log = logging.getLogger("batchbandit.requests")


class Observed:
    """An application whose requests are counted, timed, logged and traced, by method and route."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route], tracing: Tracing | None = None) -> None:
        self._app = app
        self._paths: dict[object, str] = {route.endpoint: route.path_format for route in routes}
        self._found: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note how long it took until its answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Asked(id_of(scope))
        concerned.set((asked,))  # every request has a task of its own
        if self._tracing is not None:
            asked.span = self._tracing.begin(scope)
        status = 500  # what the server makes of an exception
        answered: float | None = None
        began = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                answered = time.perf_counter()
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, asked.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            seconds = (answered or time.perf_counter()) - began
            route = self._paths.get(scope.get("endpoint"))  # of the route that was found
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                route = None
            call = OTHER if route is None else f"{scope['method']} {route}"
            counter, histogram = self._figures(call, status)
            counter.inc()
            histogram.observe(seconds)
            if status >= HTTPStatus.BAD_REQUEST or log.isEnabledFor(logging.DEBUG):
                note_request(call, status, seconds, scope)
            if self._tracing is not None:
                self._tracing.end(asked, scope["method"], route, status)

    def _figures(self, call: str, status: int) -> tuple[Counter, Histogram]:
        found = self._found.get((call, status))
        if found is None:
            found = (metrics.REQUESTS.labels(call, str(status)), metrics.SECONDS.labels(call))
            self._found[call, status] = found
        return found


def id_of(scope: Scope) -> str:
    """Return the name that a request came with, where it is one, else a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _ID.fullmatch(value):
            return str(value.decode("ascii"))
    return new_id()


def new_id() -> str:
    """Return a name that no other request has."""
    return secrets.token_hex(8)


def note_refusal(error: ServiceError) -> str:
    """Count and log what is refused before it is a request; return the name that it gets all the same."""
    request_id = new_id()
    metrics.REQUESTS.labels(OTHER, str(error.status.value)).inc()
    metrics.REFUSALS.labels(error.problem).inc()
    told = fields(request_id=request_id, status=error.status.value, problem=error.problem)
    log.log(level_of(error.status), OTHER, extra=told)
    return request_id


def note_request(call: str, status: int, seconds: float, scope: Scope) -> None:
    """Log a request, and count it where it was refused; of what it said, only its path may be told."""
    problem = None
    if status >= HTTPStatus.BAD_REQUEST:
        problem = scope.get("problem") or named(HTTPStatus(status))
        metrics.REFUSALS.labels(problem).inc()
    path = scope["path"][:100] if call == OTHER else None
    told = fields(status=status, milliseconds=round(seconds * 1000, 1), problem=problem, path=path)
    log.log(level_of(status), "%s", call, extra=told)


def named(status: HTTPStatus) -> str:
    """Return how a problem is called that the service had no name for."""
    return ServiceError.problem if status is ServiceError.status else kind_of(status)


def level_of(status: int) -> int:
    """Return how much is the matter: with the service, with the database or the load, with a request."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    if status > HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.WARNING
    return logging.INFO if status >= HTTPStatus.BAD_REQUEST else logging.DEBUG
