"""A real server for the tests that talk to one, on each kind of database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api


@pytest.fixture(scope="session")
def sqlite_server() -> Iterator[Server]:
    """Return a running server on a SQLite file of its own."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server(new_postgres_url: Callable[[], str]) -> Iterator[Server]:
    """Return a running server on a Postgres database of its own."""
    with running_server(new_postgres_url()) as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a running server on each kind of database; it runs on while tests turn to the other kind."""
    running: Server = request.getfixturevalue(f"{request.param}_server")
    return running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """Return a client of the server that says no more than it is told to."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client) -> Api:
    """Return the calls of a training job."""
    return Api(http)


@pytest.fixture(scope="session")
def tables(server: Server) -> Iterator[Tables]:
    """Return a reader of the server's database beside the server."""
    with open_tables(server.database_url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database that a test serves by itself."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("new_postgres_url")()
        return url
    return f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
