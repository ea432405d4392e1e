"""A Postgres server of one's own."""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks import pgbouncer, programs, unprivileged
from benchmarks.pgbouncer import find_pgbouncer, running_pgbouncer
from benchmarks.postgres import (
    Postgres,
    create_database,
    kill,
    postgres_folder,
    running_postgres,
    start,
    stop,
)
from benchmarks.programs import SETTING, find_programs
from benchmarks.server import ServerFailed
from benchmarks.unprivileged import User, reachable_folder
from tests.skips import skip_without


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Return a running server."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def without_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the programs of the machine."""
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(programs, "INSTALLED", ())


def ask(url: str, *statements: str) -> list[Any]:
    """Return the first value that each statement gives."""

    async def ask_all() -> list[Any]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), statement_cache_size=0)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(ask_all())


def listens(port: int) -> bool:
    """Tell whether somebody takes connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_answers(postgres: Postgres) -> None:
    url = create_database(postgres, "answers")
    assert url == f"postgresql+asyncpg://batchbandit@127.0.0.1:{postgres.port}/answers"
    assert ask(url, "SELECT current_database()") == ["answers"]


def test_a_server_keeps_what_makes_a_commit_durable(postgres: Postgres) -> None:
    url = create_database(postgres, "durable")
    settings = ("fsync", "synchronous_commit", "full_page_writes")
    assert ask(url, *(f"SHOW {setting}" for setting in settings)) == ["on", "on", "on"]


def test_databases_hold_unicode_and_sort_by_bytes(postgres: Postgres) -> None:
    url = create_database(postgres, "unicode")
    collation = "SELECT datcollate FROM pg_database WHERE datname = 'unicode'"
    assert ask(url, "SHOW server_encoding", collation) == ["UTF8", "C"]


def test_a_database_that_exists_is_refused(postgres: Postgres) -> None:
    create_database(postgres, "twice")
    with pytest.raises(ServerFailed, match='database "twice" already exists'):
        create_database(postgres, "twice")


def test_a_killed_server_starts_again_with_what_was_committed() -> None:
    with postgres_folder() as folder:
        server = start(folder)
        try:
            url = create_database(server, "kept")
            ask(url, "CREATE TABLE kept (number integer)", "INSERT INTO kept VALUES (7)")
            assert kill(server) == -9
            server = start(folder)
            assert ask(url, "SELECT number FROM kept") == [7]
        finally:
            assert stop(server) == 0


def test_nothing_is_left_of_a_server() -> None:
    with running_postgres() as server:
        assert listens(server.port)
    assert server.process.returncode == 0
    assert not listens(server.port)
    assert not server.folder.exists()


def test_a_server_stops_when_its_user_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), running_postgres() as server:
        raise KeyboardInterrupt
    assert server.process.returncode == 0


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="nothing here ends a child with its parent")
def test_a_server_does_not_outlive_a_killed_user() -> None:
    imports = "import pathlib, sys; from benchmarks.postgres import start"
    script = f"{imports}; print(start(pathlib.Path(sys.argv[1])).port); input()"
    root = Path(__file__).parents[2]
    with postgres_folder() as folder:
        command = [sys.executable, "-u", "-c", script, str(folder)]
        with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
            assert user.stdout is not None
            port = int(user.stdout.readline())
            assert listens(port)
            user.kill()
        deadline = time.monotonic() + 10
        while (folder / "data" / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not listens(port)


@pytest.mark.usefixtures("without_the_machines")
def test_the_wheel_serves_where_the_machine_has_no_postgres() -> None:
    with running_postgres() as server:
        assert "pginstall" in str(server.programs)
        assert ask(create_database(server, "wheel"), "SELECT 1") == [1]


@pytest.mark.usefixtures("without_the_machines")
def test_programs_in_a_private_folder_serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = find_programs()
    tmp_path.chmod(0o700)
    (tmp_path / "packages").symlink_to(wheel.parents[2])
    monkeypatch.setenv(SETTING, str(tmp_path / "packages" / wheel.relative_to(wheel.parents[2])))
    with running_postgres() as server:
        assert ask(create_database(server, "private"), "SELECT 1") == [1]
        copied = server.programs.is_relative_to(server.folder)
        assert copied == (os.geteuid() == 0)


@pytest.mark.usefixtures("without_the_machines")
def test_a_missing_postgres_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "WHEEL", "a_package_that_is_not_there")
    with (
        pytest.raises(ServerFailed, match=r"Postgres is not installed: install .*\[dev\]"),
        running_postgres(),
    ):
        pass


def test_a_named_folder_without_programs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SETTING, str(tmp_path))
    with (
        pytest.raises(ServerFailed, match=f"{SETTING}: {tmp_path} does not have postgres"),
        running_postgres(),
    ):
        pass


def test_a_server_that_cannot_start_says_why() -> None:
    with postgres_folder() as folder:
        stop(start(folder))
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write("max_connections = 'many'\n")
        with pytest.raises(ServerFailed, match='invalid value for parameter "max_connections"'):
            start(folder)


def test_a_folder_is_within_reach_wherever_the_temporary_one_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(unprivileged, "gettempdir", lambda: str(tmp_path))
    somebody = User("somebody", os.getuid(), os.getgid())
    with reachable_folder(somebody) as folder:
        assert tmp_path not in folder.parents
        assert folder.stat().st_mode & stat.S_IXOTH
        assert somebody.reaches(folder)


def test_pgbouncer_lends_two_connections_to_many_clients(postgres: Postgres) -> None:
    try:
        find_pgbouncer()
    except ServerFailed as failure:
        skip_without(str(failure))
    create_database(postgres, "pooled")

    async def ask_many(url: str) -> set[int]:
        clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(8)]
        try:
            return {await client.fetchval("SELECT pg_backend_pid()") for client in clients}
        finally:
            for client in clients:
                await client.close()

    with running_pgbouncer(postgres) as pooler:
        backends = asyncio.run(ask_many(pooler.url("pooled").replace("+asyncpg", "")))
    assert 1 <= len(backends) <= 2
    assert not listens(pooler.port)


def test_a_missing_pgbouncer_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, postgres: Postgres
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(pgbouncer, "INSTALLED", ())
    with (
        pytest.raises(ServerFailed, match="install the machine's package, pgbouncer"),
        running_pgbouncer(postgres),
    ):
        pass
