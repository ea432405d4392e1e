"""Requests for another site's page, for another name, or for a stranger behind a proxy: all are refused.

A service on localhost is reached by every page that its user opens. A browser says whose page it asks for,
in ``Sec-Fetch-Site`` and ``Origin``; a page whose own name is made to point at the service, so that its
origin is the service's, is known by the ``Host``. A proxy beside the service lets the world reach it too.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ForeignOrigin, ServiceError, UnknownHost
from service.exposure import ANY, Exposure

OWN_SITES = (None, b"none", b"same-origin")
"""What ``Sec-Fetch-Site`` is where no other site is behind a request, and None where no browser is."""

FOREIGN = (
    "A page of another site may not call this service; call it from a program, or from a page that it serves."
)


Refusal = Callable[[Request, Exception], Awaitable[Response]]
"""What answers where a request may not come in."""


class Origins(NamedTuple):
    """What a request says of where it comes from and whom it is for; None where it does not say."""

    host: bytes | None
    origin: bytes | None
    site: bytes | None


class Guarded:
    """An application that sees only requests for its own names, from programs and from its own pages."""

    def __init__(self, app: ASGIApp, exposure: Exposure, refusal: Refusal) -> None:
        self._app = app
        self._refusal = refusal
        # Hosts are few in a service's life, and those that strangers make up are forgotten.
        self._goes_by = lru_cache(maxsize=64)(Names(exposure).include)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ServiceError as error:
                response = await self._refusal(Request(scope), error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """See that a request may come in.

        Raises:
            UnknownHost: It is for another name.
            ForeignOrigin: Another site's page is behind it.
        """
        host, origin, site = origins_of(scope)
        if host is not None and not self._goes_by(host):
            raise UnknownHost(
                f"This service does not go by the name {host.decode('latin-1')[:100]!r}; where it should, "
                "start it with --allowed-host."
            )
        if site not in OWN_SITES or (origin is not None and not is_own(origin, host, scope["scheme"])):
            raise ForeignOrigin(FOREIGN)


def origins_of(scope: Scope) -> Origins:
    """Return what the headers of a request say."""
    host = origin = site = None
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
        elif name == b"sec-fetch-site":
            site = value
    return Origins(host, origin, site)


def is_own(origin: bytes, host: bytes | None, scheme: str) -> bool:
    """Tell whether an Origin is the service's own: also where a proxy in front of it ends TLS."""
    schemes = {scheme, "https"}
    return host is not None and origin.lower() in {f"{one}://".encode() + host.lower() for one in schemes}


def is_own_page(scope: Scope) -> bool:
    """Tell whether a browser says that a page of the service's own asks; most programs say nothing."""
    host, origin, site = origins_of(scope)
    if site is not None:
        return site == b"same-origin"
    return origin is not None and is_own(origin, host, scope["scheme"])


class Names:
    """The names and addresses that a service goes by."""

    def __init__(self, exposure: Exposure) -> None:
        self._is_local = exposure.is_local
        self._names = {"localhost", *exposure.names}
        self._suffixes = tuple(name[1:] for name in exposure.names if name.startswith("*."))

    def include(self, host: bytes) -> bool:
        """Tell whether a Host header names the service."""
        if ANY in self._names:
            return True
        name = name_of(host)
        if name in self._names or name.endswith(self._suffixes):
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        # An address is no name that its owner can point elsewhere; but of a service that only this machine
        # reaches, another one is no address.
        return address.is_loopback or not self._is_local


def name_of(host: bytes) -> str:
    """Return the name or address in a Host header, without its port."""
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text.rpartition("]")[0].removeprefix("[")
    return text.partition(":")[0].removesuffix(".")
