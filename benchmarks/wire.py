"""HTTP/1.1 at the lowest price: hand-made requests, one at a time, on a connection that stays open.

It knows what the load generator meets and no more: answers with a Content-Length, or without a body.
"""

import asyncio
from base64 import b64encode
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Self, cast
from urllib.parse import SplitResult, unquote


class Dropped(Exception):
    """The connection ended, or spoke something else than HTTP, before the answer was complete."""

    def __str__(self) -> str:
        return "the connection ended without an answer"


class Answer(NamedTuple):
    """A complete answer; ``last``: the server closes the connection after it."""

    status: int
    body: bytes
    last: bool

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def request(method: str, target: str, host: str, body: bytes | None = None) -> bytes:
    """Return the bytes of a request; a user and a password before the host become those of HTTP Basic."""
    head = f"{method} {target} HTTP/1.1\r\n{_addressed(host)}"
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@lru_cache(maxsize=16)
def _addressed(host: str) -> str:
    """Return the headers that name a host and who asks it."""
    userinfo, _, name = host.rpartition("@")
    if not userinfo:
        return f"Host: {name}\r\n"
    credentials = b64encode(unquote(userinfo).encode()).decode()
    return f"Host: {name}\r\nAuthorization: Basic {credentials}\r\n"


def parse(data: bytes) -> Answer | None:
    """Return the answer at the start of the data, or None while it is incomplete.

    Raises:
        Dropped: It is no HTTP, or its length cannot be told.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    try:
        status = int(head[9:12])
        length = _length(head)
    except ValueError:
        raise Dropped from None
    body = data[end + 4 : end + 4 + length]
    return Answer(status, body, b"\r\nconnection: close" in head) if len(body) == length else None


def _length(head: bytes) -> int:
    """Return the length of the body that follows a head in lower case."""
    _, _, rest = head.partition(b"\r\ncontent-length:")
    if rest:
        return int(rest.partition(b"\r\n")[0])
    if b"\r\ntransfer-encoding:" in head:
        raise ValueError(head)
    return 0


class Connection(asyncio.Protocol):
    """One open connection; whoever uses it waits for an answer before the next request."""

    def __init__(self) -> None:
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, url: SplitResult) -> Self:
        """Connect to the server of a URL.

        Raises:
            OSError: It cannot be reached.
        """
        _, connection = await asyncio.get_running_loop().create_connection(
            cls, url.hostname or "", url.port or 80
        )
        return connection

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            Dropped: The connection ended first.
        """
        if self._transport is None or self._transport.is_closing():
            raise Dropped
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand a complete answer to whoever waits for it."""
        self._data += data
        try:
            answer = parse(self._data)
        except Dropped:
            self.close()
            return
        if answer is None or self._answer is None or self._answer.done():
            return
        self._data = b""
        if answer.last:
            self.close()
        self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell whoever waits that no answer will come."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Dropped())
