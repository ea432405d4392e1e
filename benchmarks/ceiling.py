"""The HTTP ceiling: the service's paths, run and observed as it does, and constant answers.

What it does a second is what the service could do at most if reading, deciding and keeping took no time.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.server import Child, free_port, launch, stop
from service.serving import configuration, spare_collections
from service.web.access import Handler, public
from service.web.answers import Answer
from service.web.clients import Clients
from service.web.limits import Limits
from service.web.observation import Observed
from service.web.routes import Resource


def constant(body: bytes) -> Handler:
    """Return a handler that gives the same JSON whatever it is asked, and reads no body."""

    async def handle(_: Request) -> Response:
        return Answer(body)

    return handle


def create_ceiling() -> Starlette:
    """Make the application."""
    routes = [
        Route(
            "/report",
            Resource(
                POST=public(constant(b'{"stop_train":true,"converged":true,"message":"Train succeeded"}')),
            ),
        ),
        Route(
            "/jobs/batch_size",
            Resource(GET=public(constant(b'{"job_id":"load-0","batch_size":64,"trial_number":1}'))),
        ),
        Route("/trials", Resource(PATCH=public(constant(b"null")))),
        Route("/jobs", Resource(POST=public(constant(b"{}")))),
        Route("/healthz", Resource(GET=public(constant(b'{"state":"ok"}')))),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Observed, routes)])


def serve(port: int) -> None:
    """Serve the application as ``batchbandit serve`` serves the service's."""
    server = uvicorn.Server(configuration(create_ceiling(), Clients(Limits())))
    spare_collections()
    with socket.create_server(("127.0.0.1", port)) as listener:
        server.run(sockets=[listener])


@contextmanager
def running_ceiling() -> Iterator[Child]:
    """Start the ceiling as a process of its own; stop it at the end.

    Raises:
        ServerFailed: It did not start.
    """
    port = free_port()
    with TemporaryDirectory(prefix="batchbandit-") as folder:
        child = launch(
            [sys.executable, "-m", "benchmarks.ceiling", str(port)], port, Path(folder) / "ceiling.log"
        )
        try:
            yield child
        finally:
            stop(child)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
