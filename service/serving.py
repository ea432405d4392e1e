"""A process that serves: uvicorn around the application, until a signal."""

import gc
import signal
import socket
import time
from types import FrameType

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette

from service.exposure import Exposure
from service.store.databases import ServedDatabase
from service.tls import Certificate
from service.web.app import create_app

SHUTDOWN_SECONDS = 10
HEADERS = [
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]
"""Of every answer, also of what uvicorn refuses by itself."""
TLS_HEADERS = [("Strict-Transport-Security", "max-age=31536000")]
GARBAGE_THRESHOLD = 10_000
"""How many more objects there may be before cycles of them are looked for."""


class Settings(Struct, frozen=True):
    """How to serve.

    ``queue_limit`` requests may wait for the database; for ``drain_seconds`` after SIGTERM ``/readyz`` is 503
    while all else goes on, so that balancers look elsewhere first. For ``key_seconds`` a call that comes
    again with its ``Idempotency-Key`` is answered as it was first. With a ``certificate`` it speaks TLS.
    """

    database_url: str
    queue_limit: int
    drain_seconds: float
    key_seconds: float
    exposure: Exposure
    certificate: Certificate | None = None


def configuration(app: Starlette, certificate: Certificate | None = None) -> uvicorn.Config:
    """Return how uvicorn serves an application, with a certificate over TLS."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=HEADERS if certificate is None else HEADERS + TLS_HEADERS,
        ssl_certfile=None if certificate is None else certificate.file,
        ssl_keyfile=None if certificate is None else certificate.key_file,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class DrainingServer(uvicorn.Server):
    """A server that says for a while that it will stop, and then stops."""

    def __init__(self, app: Starlette, settings: Settings) -> None:
        super().__init__(configuration(app, settings.certificate))
        self._app = app
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
        """Stop when the time is up."""
        if time.monotonic() >= self._stops_at:
            self._stops_at = float("inf")
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)


def serve(database: ServedDatabase, listener: socket.socket, settings: Settings) -> None:
    """Serve an open database on a socket that listens until SIGTERM or SIGINT; close the database."""
    app = create_app(database, settings.queue_limit, settings.key_seconds, settings.exposure)
    server = DrainingServer(app, settings)
    # From here on, also while it starts; and uvicorn raises the signal once more when all is done.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, server.handle_exit)
    spare_collections()
    server.run(sockets=[listener])


def spare_collections() -> None:
    """Let the garbage collector look at what is new, and at that seldom.

    A full collection that went through all that has been imported would hold requests for 40 ms. A
    transaction makes thousands of objects and no cycles of them: looking for some after every 700 took a
    seventh of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
