"""On an address that others reach, nobody is served without a token unless somebody says so."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from benchmarks.server import Child, Server, free_port, launch, stop
from service.cli import main
from service.credentials import Role
from service.exposure import exposure_of
from service.web.origins import Names
from tests.service.access.holders import bearer, client, make_token, revoke, until

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
EVERYWHERE = "0.0.0.0"  # noqa: S104  (it is what is refused)


@contextmanager
def served(folder: Path, url: str, *options: str) -> Iterator[Child]:
    """Serve a database on all addresses."""
    port = free_port()
    command = [PROGRAM, "serve", "--host", EVERYWHERE, "--port", str(port), "--database-url", url, *options]
    child = launch(command, port, folder / "server.log")
    try:
        yield child
    finally:
        stop(child)


def refused(*options: str) -> str:
    """Return what a service that does not start says."""
    ended = CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert ended.exit_code == 2, ended.output
    return ended.stderr


def ask(child: Child, **headers: str) -> int:
    """Return the status of a call that needs a token."""
    return httpx.get(f"{child.url}/metrics", headers=headers, trust_env=False).status_code


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a new SQLite file."""
    return f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"


@pytest.mark.parametrize("host", [EVERYWHERE, "::"])
def test_without_a_token_it_does_not_start(url: str, host: str) -> None:
    for _ in range(2):  # on a new database and on one without tokens
        sentence = refused("--host", host, "--database-url", url)
        assert "batchbandit token create" in sentence
        assert "--insecure" in sentence


def test_the_program_that_does_not_start_says_so_and_ends(url: str) -> None:
    command = [PROGRAM, "serve", "--host", EVERYWHERE, "--port", "0", "--database-url", url]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "batchbandit token create" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_with_revoked_tokens_alone_it_does_not_start(url: str) -> None:
    revoke(url, make_token(url, Role.ADMIN))
    assert "token create" in refused("--host", EVERYWHERE, "--database-url", url)


def test_several_workers_start_with_a_token_alone_and_ask_for_it(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    assert "token create" in refused("--host", EVERYWHERE, "--workers", "2", "--database-url", url)
    token = make_token(url, Role.READER)
    with served(tmp_path, url, "--workers", "2") as child:
        for _ in range(10):  # each on a connection of its own, and so at any worker
            assert ask(child) == 401
            assert ask(child, **bearer(token)) == 200


def test_with_allowed_hosts_it_goes_by_these_and_by_its_addresses(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHBANDIT_ALLOWED_HOSTS", "bandit.example.org,  *.Example.com")
    token = bearer(make_token(url, Role.READER))
    with served(tmp_path, url) as child:
        assert ask(child) == 401
        assert ask(child, **token) == 200
        for host in ("bandit.example.org:8000", "a.example.com", "203.0.113.7:8000"):
            assert ask(child, **token, Host=host) == 200
        assert ask(child, **token, Host="example.com") == 421


def test_insecure_lets_everybody_in_as_long_as_there_is_no_token(url: str, tmp_path: Path) -> None:
    with served(tmp_path, url, "--insecure") as child:
        assert ask(child) == 200
        assert ask(child, Host="203.0.113.7") == 200
        assert ask(child, Host="rebound.example.org") == 421
    token = make_token(url, Role.READER)
    with served(tmp_path, url, "--insecure") as child:
        assert ask(child) == 401
        assert ask(child, **bearer(token)) == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For"])
def test_a_proxy_does_not_open_a_service_of_this_machine_to_the_world(
    open_server: Server, header: str
) -> None:
    passed_on = {header: "for=203.0.113.7"}
    with client(open_server) as http:
        for path in ("/metrics", "/jobs/batch_size?job_id=nobody"):
            answer = http.get(path, headers=passed_on)
            assert answer.status_code == 403
            assert answer.json()["type"] == "urn:batchbandit:problem:open-to-proxy"
            assert "batchbandit token create" in answer.json()["message"]
        assert http.get("/readyz", headers=passed_on).status_code == 200, "it tells nothing of jobs"
        assert http.get("/metrics").status_code == 200, "from here it can be called"
        token = make_token(open_server.database_url, Role.READER)
        until(lambda: http.get("/metrics", headers=passed_on).status_code == 401)
        assert http.get("/metrics", headers=passed_on | bearer(token)).status_code == 200


def test_insecure_lets_in_who_comes_through_a_proxy_too(url: str, tmp_path: Path) -> None:
    with served(tmp_path, url, "--insecure") as child:
        assert ask(child, **{"X-Forwarded-For": "203.0.113.7"}) == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_a_loopback_address_may_be_open_and_goes_by_the_names_of_this_machine(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        exposure = exposure_of(listener, (), is_insecure=False)
    assert exposure.may_be_open
    names = Names(exposure)
    assert names.include(b"localhost:8000")
    assert names.include(b"127.0.0.1:8000")
    assert not names.include(b"203.0.113.7")
    assert not names.include(b"rebound.example")


def test_an_address_that_asks_for_tokens_goes_by_any_name() -> None:
    with socket.create_server((EVERYWHERE, 0)) as listener:
        exposure = exposure_of(listener, (), is_insecure=False)
    assert not exposure.may_be_open
    assert Names(exposure).include(b"bandit.example.org")


@pytest.mark.parametrize("name", ["", "http://a.example", "a b", "*a", "a.*.b", "[::1]", "a/b", "a..b", ".a"])
def test_what_is_no_name_is_refused(url: str, name: str) -> None:
    assert "--allowed-host" in refused("--allowed-host", name, "--database-url", url)
