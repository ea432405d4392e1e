"""One connection to a service: requests out, answers in, each tried once."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from batchbandit.errors import Unreachable
from batchbandit.version import VERSION

if TYPE_CHECKING:
    import httpx

    from batchbandit.addresses import Address


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the body where it is a JSON object, the seconds to wait where given."""

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
            Unreachable: There was no answer, or none of a web server.
        """
        import httpx  # noqa: PLC0415 -- takes longer than all else, and only who sends needs it

        request = httpx.Request(
            method,
            f"{self._address.url}{path}",
            headers={**self._headers, "Idempotency-Key": key},
            content=None if body is None else json.dumps(body).encode(),
            extensions={"timeout": httpx.Timeout(timeout_seconds).as_dict()},
        )
        try:
            response = self._transport().handle_request(request)
            try:
                content = response.read()
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{type(error).__name__}: {error}", is_certain=True) from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
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
    import httpx  # noqa: PLC0415 -- as above

    parts = urlsplit(url)
    proxies = {} if proxy_bypass(parts.netloc) else getproxies()
    # Certificates take 30 ms to read; without TLS there is nothing to verify.
    return httpx.HTTPTransport(
        verify=parts.scheme == "https", proxy=proxies.get(parts.scheme) or proxies.get("all")
    )


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
