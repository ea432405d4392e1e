"""How far a service is open: who reaches its address, and by which names it goes."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address

from msgspec import Struct

ANY = "*"


class Exposure(Struct, frozen=True):
    """What is asked of callers.

    ``may_be_open``: nobody needs a token as long as none was ever made. ``is_local``: it listens where nobody
    but this machine reaches it. ``names`` are the Host headers that are answered besides.
    """

    may_be_open: bool
    is_local: bool
    names: tuple[str, ...] = ()


def exposure_of(listener: socket.socket, names: Sequence[str], *, is_insecure: bool) -> Exposure:
    """Return how open a service on a listening socket is.

    Only a service that lets everybody in has to fear that a page of its own name is made to point at it: the
    others answer to any name, unless some are given.
    """
    is_local = ip_address(listener.getsockname()[0]).is_loopback
    is_guarded = not is_local and not is_insecure
    return Exposure(
        may_be_open=not is_guarded,
        is_local=is_local,
        names=tuple(name.lower() for name in names) or ((ANY,) if is_guarded else ()),
    )
