"""A browser that shows no more than it is sent."""

from collections.abc import Iterator

import httpx
import pytest

from benchmarks.server import Server


@pytest.fixture(scope="session")
def visitor(server: Server) -> Iterator[httpx.Client]:
    """Return a client that asks for pages."""
    with httpx.Client(
        base_url=server.url, timeout=30, trust_env=False, headers={"Accept": "text/html"}
    ) as opened:
        yield opened


@pytest.fixture
def own(server: Server) -> dict[str, str]:
    """Return what a browser says where a form of the service's own is sent."""
    return {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
