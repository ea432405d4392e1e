"""One connection to a service: requests out, answers in, each tried once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchbandit.apart import apart
from batchbandit.errors import ServiceError, Unreachable
from batchbandit.version import VERSION

if TYPE_CHECKING:
    import httpx

    from batchbandit.addresses import Address

MOST_BYTES = 2**20
"""What an answer may have; those of a service have far less."""


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the JSON object, the seconds to wait where given.

    The object is empty where other JSON came, and None where it was none, as of a proxy that answers itself.
    """

    status: int
    body: dict[str, Any] | None
    retry_after: float


class Transport:
    """Sends requests to one address; any number of threads may use it.

    It is httpx's transport without httpx's client, which would take as long again as the request: what a
    client adds (cookies, redirects, authentication) is not needed here.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._made: httpx.HTTPTransport | None = None
        self._making = threading.Lock()
        self._is_closed = False
        self._headers = {"User-Agent": f"batchbandit/{VERSION}", "Content-Type": "application/json"}
        if address.token:
            self._headers["Authorization"] = f"Bearer {address.token}"

    def send(self, method: str, path: str, body: object, *, key: str, timeout_seconds: float) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            Unreachable: There was no answer, or none of a web server; or nothing can be sent there.
        """
        send = partial(self._send, method, path, body, key, timeout_seconds)
        try:
            return apart(send, timeout_seconds)
        except TimeoutError:
            raise Unreachable("there was no answer in time") from None

    def _send(self, method: str, path: str, body: object, key: str, timeout_seconds: float) -> Answer:
        import httpx  # noqa: PLC0415 -- takes longer than all else, and only who sends needs it

        end = time.monotonic() + timeout_seconds
        try:
            request = httpx.Request(
                method,
                f"{self._address.url}{path}",
                headers={**self._headers, "Idempotency-Key": key},
                content=None if body is None else json.dumps(body).encode(),
                extensions={"timeout": httpx.Timeout(timeout_seconds).as_dict()},
            )
            response = self._transport().handle_request(request)
            try:
                content = _content(response, end)
            finally:
                response.close()
        except ServiceError:
            raise
        except Exception as error:  # a proxy or certificates that cannot be used raise anything
            is_certain = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
            raise Unreachable(f"{type(error).__name__}: {error}", is_certain=is_certain) from error
        return Answer(response.status_code, _object(content), _seconds(response.headers.get("Retry-After")))

    def _transport(self) -> httpx.HTTPTransport:
        with self._making:
            if self._is_closed:
                raise Unreachable("the connection is closed", is_certain=True)
            if self._made is None:
                self._made = _made(self._address.url)
            return self._made

    def close(self) -> None:
        """Close the connections; nothing more can be sent."""
        with self._making:
            self._is_closed = True
            if self._made is not None:
                self._made.close()
                self._made = None


def _made(url: str) -> httpx.HTTPTransport:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 -- as above

    import httpx  # noqa: PLC0415

    parts = urlsplit(url)
    proxies = {} if proxy_bypass(parts.netloc) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    # Certificates take 30 ms to read; without TLS there is nothing to verify.
    return httpx.HTTPTransport(verify=parts.scheme == "https", proxy=proxy)


def _content(response: httpx.Response, end: float) -> bytes:
    """Return the body of an answer; httpx's timeouts bound each part of it, not the whole."""
    content = b""
    for part in response.iter_bytes():
        content += part
        if len(content) > MOST_BYTES or time.monotonic() > end:
            raise Unreachable("its answer has no end")
    return content


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else {}


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
