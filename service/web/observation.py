"""Counting and timing of requests."""

import time
from collections.abc import Iterable
from http import HTTPStatus

from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics

OTHER = "other"
"""What is no call of the service: strangers cannot make up names that are kept."""


class Observed:
    """An application whose requests are counted and timed, by method and route."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._paths: dict[object, str] = {route.endpoint: route.path_format for route in routes}
        self._found: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note how long it took."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what the server makes of an exception
        began = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            path = self._paths.get(scope.get("endpoint"))  # of the route that was found
            is_call = path is not None and status != HTTPStatus.METHOD_NOT_ALLOWED
            requests, seconds = self._figures(f"{scope['method']} {path}" if is_call else OTHER, status)
            requests.inc()
            seconds.observe(time.perf_counter() - began)

    def _figures(self, call: str, status: int) -> tuple[Counter, Histogram]:
        found = self._found.get((call, status))
        if found is None:
            found = (metrics.REQUESTS.labels(call, str(status)), metrics.SECONDS.labels(call))
            self._found[call, status] = found
        return found
