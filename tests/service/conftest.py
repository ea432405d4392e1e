"""A real server for the tests that talk to one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.service.talk import Api


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a running server on a file of its own."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """Return a client of the server that says no more than it is told to."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client) -> Api:
    """Return the calls of a training job."""
    return Api(http)


@pytest.fixture
def tables(server: Server) -> Iterator[sqlite3.Connection]:
    """Return a reader of the server's file beside the server."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as connection:
        yield connection
