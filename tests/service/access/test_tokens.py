"""Tokens are made, listed and revoked beside the service, which notices."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.server import Server
from service.cli import main
from service.credentials import Role
from service.store import revision
from service.store.sqlite import writing_engine
from tests.service.access.holders import Guarded, client, id_of, make_token, revoke, run, until
from tests.service.tables import Tables
from tests.service.wires import head, status, wire

PROGRAM = Path(sys.executable).parent / "batchbandit"


def test_a_token_is_all_that_stands_on_standard_output(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    command = [str(PROGRAM), "token", "create", "--role", "reader", "--database-url", url]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"bb_[0-9a-f]{12}_[\w-]{43}\n", made.stdout)
    assert made.stdout.strip() not in made.stderr
    assert "not shown again" in made.stderr


def test_a_secret_is_kept_as_its_hash_alone(guarded: Guarded, kept: Tables) -> None:
    token = guarded.tokens[Role.ADMIN]
    _, token_id, secret = token.split("_", 2)
    [row] = kept.rows('SELECT * FROM "Token" WHERE token_id = :id', id=token_id)
    assert hashlib.sha256(secret.encode()).hexdigest() in row
    assert secret not in str(row)


def test_no_two_tokens_are_alike(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    parts = [make_token(url, Role.READER).split("_", 2) for _ in range(3)]
    assert len({token_id for _, token_id, _ in parts}) == 3
    assert len({secret for _, _, secret in parts}) == 3


def test_a_list_tells_what_tokens_are_for_and_no_secret(guarded: Guarded) -> None:
    url = guarded.server.database_url
    token = make_token(url, Role.TRAINER, "team-")
    listed = run("token", "list", "--database-url", url)
    [line] = [line for line in listed.splitlines() if line.startswith(id_of(token))]
    assert re.fullmatch(r"\S+  trainer +team- +[\d-]+ [\d:]+ +– +–", line)
    [line] = [line for line in listed.splitlines() if line.startswith(id_of(guarded.revoked))]
    assert re.fullmatch(r"\S+  admin +– +[\d-]+ [\d:]+ +– +[\d-]+ [\d:]+", line)
    assert token.split("_", 2)[2] not in listed


def test_a_running_service_notices_a_token_that_is_made_and_revoked(guarded: Guarded) -> None:
    url = guarded.server.database_url
    token = make_token(url, Role.READER)
    with client(guarded.server, token) as http:
        until(lambda: http.get("/metrics").status_code == 200)
        revoke(url, token)
        until(lambda: http.get("/metrics").status_code == 401)


def test_an_offer_of_another_protocol_lets_nobody_in(guarded: Guarded) -> None:
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
    with wire(guarded.server.url, head("GET /metrics", *offer)) as stranger:
        assert status(stranger) == 401


def test_when_a_token_was_last_used_is_kept(guarded: Guarded, kept: Tables) -> None:
    token = make_token(guarded.server.database_url, Role.READER)
    query = 'SELECT last_used_timestamp FROM "Token" WHERE token_id = :id'
    assert kept.rows(query, id=id_of(token)) == [(None,)]
    with client(guarded.server, token) as http:
        until(lambda: http.get("/metrics").status_code == 200)
        until(lambda: kept.rows(query, id=id_of(token)) != [(None,)])
        first = kept.rows(query, id=id_of(token))
        for _ in range(50):
            assert http.get("/metrics").status_code == 200
    assert kept.rows(query, id=id_of(token)) == first, "once a minute is enough"


def test_an_open_service_closes_when_its_first_token_is_made_and_stays_closed(open_server: Server) -> None:
    with client(open_server) as http:
        assert http.get("/metrics").status_code == 200
        token = make_token(open_server.database_url, Role.READER)
        until(lambda: http.get("/metrics").status_code == 401)
        with client(open_server, token) as holder:
            assert holder.get("/metrics").status_code == 200
            revoke(open_server.database_url, token)
            until(lambda: holder.get("/metrics").status_code == 401)
        assert http.get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--role", "admin", "--prefix", "team"], "reaches all jobs"),
        (["--role", "operator", "--prefix", "team"], "reaches all jobs"),
        (["--role", "trainer", "--prefix", "a" * 301], "at most 300"),
        (["--role", "trainer", "--prefix", "a\nb"], "printable"),
        (["--role", "god"], "'admin', 'operator', 'trainer', 'reader'"),
        ([], "--role"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(tmp_path: Path, options: list[str], sentence: str) -> None:
    file = tmp_path / "new.db"
    arguments = ["token", "create", *options, "--database-url", f"sqlite+aiosqlite:///{file}"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""
    assert not file.exists()


def test_what_is_no_token_in_force_cannot_be_revoked(guarded: Guarded) -> None:
    for token_id in ("000000000000", id_of(guarded.revoked)):
        url = guarded.server.database_url
        result = CliRunner().invoke(main, ["token", "revoke", token_id, "--database-url", url])
        assert result.exit_code == 3
        assert "batchbandit token list" in result.stderr


def test_a_database_of_an_older_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    engine = writing_engine(tmp_path / "old.db")
    with engine.begin() as connection:
        revision.upgrade(connection, "0004")
    engine.dispose()
    url = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
    result = CliRunner().invoke(main, ["token", "list", "--database-url", url])
    assert result.exit_code == 2
    assert "batchbandit db upgrade" in result.stderr


@pytest.mark.parametrize("arguments", [["list"], ["revoke", "000000000000"]])
def test_tokens_of_a_file_that_does_not_exist_are_refused_and_it_is_not_made(
    tmp_path: Path, arguments: list[str]
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'mistyped.db'}"
    result = CliRunner().invoke(main, ["token", *arguments, "--database-url", url])
    assert result.exit_code == 2
    assert "mistyped.db does not exist; name an existing database with --database-url" in result.stderr
    assert list(tmp_path.iterdir()) == []
