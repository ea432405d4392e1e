"""Bare connections to a server, for what no client library would send."""

import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import parse_headers
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from benchmarks.server import Child, free_port, launch, stop
from tests.service.talk import Api

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
PATIENCE = 20.0
"""Seconds until a test gives an answer up."""


class Answer(Struct, frozen=True):
    """What a server said; the names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> str:
        """Return the kind of a problem, which has all that a problem must have."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        members: dict[str, Any] = msgspec.json.decode(self.body)
        assert members["status"] == self.status
        assert members["message"].endswith((".", "anew", "moment"))
        return str(members["type"]).removeprefix("urn:batchbandit:problem:")


class Wire:
    """A connection that sends bytes and reads answers."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        address = httpx.URL(url)
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((address.host, address.port or 80))
        self._stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def answer(self) -> Answer | None:
        """Read an answer; None where the server has closed the connection."""
        try:
            line = self._stream.readline()
        except ConnectionResetError:
            return None
        if not line:
            return None
        headers = {name.lower(): value for name, value in parse_headers(self._stream).items()}
        body = self._stream.read(int(headers.get("content-length", "0")))
        return Answer(int(line.split()[1]), headers, body)

    def rest(self) -> bytes:
        """Read all that comes until the server closes the connection."""
        return self._stream.read()

    def is_closed(self) -> bool:
        """Wait until the server closes the connection; False where it says something instead."""
        return self.answer() is None

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self.socket.close()


@contextmanager
def wire(url: str, data: bytes = b"") -> Iterator[Wire]:
    """Open a connection and send bytes; hang up at the end."""
    opened = Wire(url)
    try:
        opened.send(data)
        yield opened
    finally:
        opened.close()


@contextmanager
def serving(folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> Iterator[Child]:
    """Serve a SQLite file of a folder, or what the options name, with options of one's own.

    Args:
        folder: For the file and the log.
        options: Of ``batchbandit serve``.
        prefix: A program that runs the command it is given.
    """
    port = free_port()
    file = f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}"
    command = [*prefix, PROGRAM, "serve", "--port", str(port), "--database-url", file, *options]
    server = launch(command, port, folder / "server.log")
    try:
        yield server
    finally:
        stop(server)


def head(line: str, *headers: str) -> bytes:
    """Return the head of a request."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def call(line: str, body: object, *headers: str) -> bytes:
    """Return a request with a JSON body."""
    content = msgspec.json.encode(body)
    return head(line, f"Content-Length: {len(content)}", *headers) + content


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock of a SQLite file, as another program would."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def registered(url: str) -> str:
    """Return the name of a new job."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        return str(Api(http).register()["job_id"])


def status(client: Wire) -> int | None:
    """Return how a client is answered, None where it is hung up on."""
    answer = client.answer()
    return None if answer is None else answer.status


def figure(server: Child, name: str) -> float:
    """Return one of a server's own figures, 0 where it has none; its name may begin anywhere."""
    for line in httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines():
        said, _, value = line.rpartition(" ")
        if said.endswith(name) and not line.startswith("#"):
            return float(value)
    return 0.0


def is_answered(client: Wire, server: Child) -> bool:
    """Send a request with a large answer; tell whether that is written, soon."""
    before = answered(server)
    client.send(call("POST /api/v1/suggestions", {"job_ids": ["nobody"] * 1000}))
    deadline = time.monotonic() + 2
    while answered(server) == before:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def answered(server: Child) -> float:
    """Return how many bulk calls were answered."""
    return figure(server, 'requests_total{call="POST /api/v1/suggestions",status="200"}')
