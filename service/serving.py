"""A process that serves: uvicorn around the application, until a signal."""

import asyncio
import gc
import logging
import resource
import signal
import socket
import time
from functools import partial
from types import FrameType

import msgspec
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette

from service.exposure import Exposure
from service.logs import Logs
from service.store.databases import ServedDatabase
from service.tls import Certificate
from service.tracing import tracing_wanted
from service.web.app import create_app
from service.web.clients import Clients
from service.web.connection import Connection
from service.web.handshakes import Handshake
from service.web.limits import Limits

log = logging.getLogger("batchbandit.serving")

SHUTDOWN_SECONDS = 10
"""How long the last answers may take."""
DATABASE_SECONDS = 8
"""How much of that the database has, before those who wait for it are told that they waited in vain."""
MOST_LISTENERS = 1000
"""To what happens; where fewer connections may be open, half of those."""
TICK_SECONDS = 0.1
"""Between two looks at clients that take too long."""
OTHER_FILES = 100
"""What a process may have open beside the connections of its clients."""
HEADERS = [
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
]
"""Of every answer, also of what is refused before there is a request."""
TLS_HEADERS = [("Strict-Transport-Security", "max-age=31536000")]
GARBAGE_THRESHOLD = 10_000
"""How many more objects there may be before cycles of them are looked for."""


class Settings(Struct, frozen=True):
    """How to serve.

    ``queue_limit`` requests may wait for the database; for ``drain_seconds`` after SIGTERM ``/readyz`` is 503
    while all else goes on, so that balancers look elsewhere first. For ``key_seconds`` a call that comes
    again with its ``Idempotency-Key`` is answered as it was first; for ``event_seconds`` it is kept what has
    happened. With a ``certificate`` it speaks TLS. ``limits`` are those of the clients; ``logs`` says how to
    log.
    """

    database_url: str
    queue_limit: int
    drain_seconds: float
    key_seconds: float
    event_seconds: float
    exposure: Exposure
    certificate: Certificate | None = None
    limits: Limits = Limits()
    logs: Logs = Logs()


def configuration(app: Starlette, clients: Clients, certificate: Certificate | None = None) -> uvicorn.Config:
    """Return how uvicorn serves an application to clients, with a certificate over TLS."""
    speaks = (
        partial(Connection, clients)
        if certificate is None
        else partial(Handshake, certificate.context(), clients)
    )
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=speaks,  # type: ignore[arg-type]  # uvicorn calls it, class or not
        ws="none",
        lifespan="on",
        log_config=None,  # the process has begun its log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=HEADERS if certificate is None else HEADERS + TLS_HEADERS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class DrainingServer(uvicorn.Server):
    """A server that says for a while that it will stop, and then stops."""

    def __init__(self, app: Starlette, clients: Clients, settings: Settings) -> None:
        super().__init__(configuration(app, clients, settings.certificate))
        self._app = app
        self._clients = clients
        self._drain_seconds = settings.drain_seconds
        self._stops_at = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: after a while at SIGTERM, at once at SIGINT, whose sender waits at a terminal.

        A second SIGTERM changes nothing: one may come from a supervisor and one from the parent process.
        """
        self._app.state.is_draining = True
        if sig == signal.SIGTERM and self.started and self._drain_seconds > 0:
            self._stops_at = min(self._stops_at, time.monotonic() + self._drain_seconds)
        else:
            # As SIGTERM, since uvicorn drops at a second SIGINT what it has accepted.
            super().handle_exit(signal.SIGTERM, frame)

    async def on_tick(self, counter: int) -> bool:
        """Let go of clients that take too long; stop when the time is up."""
        self._clients.expire(asyncio.get_running_loop().time())
        if self._app.state.is_draining:
            self._app.state.audience.leave()
        if time.monotonic() >= self._stops_at:
            self._stops_at = float("inf")
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, without the database where it takes too long."""
        self._clients.stop()
        self._app.state.audience.leave()
        loop = asyncio.get_running_loop()
        giving_up = loop.call_later(DATABASE_SECONDS, self._give_up)
        expiring = asyncio.create_task(self._expire(), name="clients")
        await super().shutdown(sockets)
        giving_up.cancel()
        expiring.cancel()

    def _give_up(self) -> None:
        state = self._app.state
        for waited_for in (state.engine, state.admission, state.readiness, state.census):
            waited_for.give_up()

    async def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._clients.expire(loop.time())
            await asyncio.sleep(TICK_SECONDS)


def serve(database: ServedDatabase, listener: socket.socket, settings: Settings) -> None:
    """Serve an open database on a socket that listens until SIGTERM or SIGINT; close the database."""
    clients = Clients(within_open_files(settings.limits))
    tracing = tracing_wanted()
    app = create_app(
        database,
        settings.exposure,
        queue_limit=settings.queue_limit,
        key_seconds=settings.key_seconds,
        event_seconds=settings.event_seconds,
        listener_limit=min(MOST_LISTENERS, max(1, clients.connection_limit // 2)),
        tracing=tracing,
    )
    server = DrainingServer(app, clients, settings)
    # From here on, also while it starts; and uvicorn raises the signal once more when all is done.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, server.handle_exit)
    spare_collections()
    server.run(sockets=[listener])
    if tracing is not None:
        tracing.close()


def within_open_files(limits: Limits) -> Limits:
    """Let this process open the files that its connections are, or return limits with fewer connections."""
    wanted = limits.connection_limit + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            fewer = max(1, soft - OTHER_FILES)
            log.warning(
                "this process may open %d files (ulimit -n) and serves %d connections at a time, not %d; "
                "allow it more, or lower --connection-limit",
                soft,
                fewer,
                limits.connection_limit,
            )
            return msgspec.structs.replace(limits, connection_limit=fewer)
    return limits


def spare_collections() -> None:
    """Let the garbage collector look at what is new, and at that seldom.

    A full collection that went through all that has been imported would hold requests for 40 ms. A
    transaction makes thousands of objects and no cycles of them: looking for some after every 700 took a
    seventh of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
