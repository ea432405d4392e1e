"""Services that ask for tokens, and tokens to call them with."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from click.testing import CliRunner
from msgspec import Struct

from benchmarks.server import Server, running_server
from service.cli import main
from service.credentials import Role

PATIENCE_SECONDS = 20.0
"""For what takes a second."""


class Guarded(Struct, frozen=True):
    """A service that asks for tokens, with one of each role for all jobs, and one that has been revoked."""

    server: Server
    tokens: dict[Role, str]
    revoked: str


@contextmanager
def running_guarded(database_url: str) -> Iterator[Guarded]:
    """Serve a database, the first tokens of which are made before the service begins."""
    tokens = {role: make_token(database_url, role) for role in Role}
    revoked = make_token(database_url, Role.ADMIN)
    revoke(database_url, revoked)
    with running_server(database_url) as server:
        yield Guarded(server, tokens, revoked)


def run(*arguments: str) -> str:
    """Run a command of batchbandit that succeeds; return its standard output without the line's end."""
    result = CliRunner(env={"COLUMNS": None}).invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip("\n")


def make_token(database_url: str, role: Role, prefix: str = "") -> str:
    """Make a token."""
    options = ["--prefix", prefix] if prefix else []
    return run("token", "create", "--role", role.value, *options, "--database-url", database_url)


def revoke(database_url: str, token: str) -> None:
    """Revoke a token."""
    run("token", "revoke", id_of(token), "--database-url", database_url)


def id_of(token: str) -> str:
    """Return the part of a token that is no secret."""
    return token.split("_")[1]


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def client(server: Server, token: str | None = None) -> httpx.Client:
    """Return a client with a token, or without one."""
    headers = {} if token is None else bearer(token)
    return httpx.Client(base_url=server.url, timeout=30, trust_env=False, headers=headers)


def path_of(template: str) -> str:
    """Return a path of a route, whatever its parameters are."""
    return re.sub(r"\{\w+(:\w+)?\}", "1", template)


def until_known(http: httpx.Client) -> None:
    """Wait until a service has noticed the token of a client, made beside it."""
    until(lambda: http.get("/jobs/batch_size").status_code != 401)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what becomes true by itself, soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
