"""Where a service is, and the token that lets one in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

TOKEN = "BATCHBANDIT_TOKEN"  # noqa: S105 -- the variable's name
"""The environment variable with the token, where neither the call nor the address has one."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Address:
    """A service's address without user info, and the token, None where the service is open."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, token: str | None = None) -> Address:
        """Return the address that a URL names; the token is given, the URL's password, or the environment's.

        Raises:
            ValueError: The URL is none of a web service, or the token none that a header can have.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _has_port(parts):
            raise ValueError("The service's URL must be like http://HOST:8000 or https://HOST.")
        token = (token or _password(parts) or os.environ.get(TOKEN) or "").strip() or None
        if token is not None and not _VISIBLE.fullmatch(token):
            raise ValueError("The service's token must be of visible ASCII characters.")  # it is not shown
        place = parts.netloc.rpartition("@")[2]
        return cls(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", token)


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port, where there is one, is a number that ports have."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _password(parts: SplitResult) -> str | None:
    secret = parts.password or parts.username
    return unquote(secret) if secret else None
