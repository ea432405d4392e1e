"""A server of one's own."""

import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ServerFailed, running_server


def test_a_server_is_healthy_and_stops_without_complaint() -> None:
    with running_server() as server:
        assert httpx.get(f"{server.url}/healthz").is_success
        assert server.database.exists()
    assert server.process.returncode == 0
    assert not server.database.parent.exists()


def test_a_server_stops_when_its_user_fails() -> None:
    with pytest.raises(RuntimeError), running_server() as server:
        raise RuntimeError
    assert server.process.returncode == 0


def test_a_server_that_was_killed_is_no_trouble() -> None:
    with running_server() as server:
        server.process.kill()
    assert server.process.returncode == -9


def test_a_missing_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ServerFailed, match="batchbandit: No such file"), running_server():
        pass


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "batchbandit"
    program.write_text("#!/bin/sh\necho the database is locked >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ServerFailed, match="the database is locked"), running_server():
        pass
