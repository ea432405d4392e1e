"""Where a service is, and the token that lets one in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

TOKEN = "BATCHBANDIT_TOKEN"  # noqa: S105 -- the variable's name
"""The environment variable with the token, where neither the call nor the address has one."""


@dataclass(frozen=True)
class Address:
    """A service's address without user info, and the token, None where the service is open."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, token: str | None = None) -> Address:
        """Return the address that a URL names; the token is given, the URL's password, or the environment's.

        Raises:
            ValueError: The URL is none of a web service.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("The service's URL must be like http://HOST:8000 or https://HOST.")
        token = token or _password(parts) or os.environ.get(TOKEN) or None
        place = parts.netloc.rpartition("@")[2]
        return cls(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", token)


def _password(parts: SplitResult) -> str | None:
    secret = parts.password or parts.username
    return unquote(secret) if secret else None
