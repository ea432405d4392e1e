"""The service as a process: started, stopped, killed, started again."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from benchmarks.audit import audit
from benchmarks.load import run_load
from benchmarks.server import Server, start
from tests.service.talk import Api

PROGRAM = Path(sys.executable).parent / "batchbandit"


def serve(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to end by itself."""
    return subprocess.run(
        [PROGRAM, "serve", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(tmp_path: Path, stopping: signal.Signals) -> None:
    server = start(tmp_path)
    server.process.send_signal(stopping)
    assert server.process.wait(15) == 0
    assert "Traceback" not in server.last_words()
    assert not (tmp_path / "batchbandit.db-wal").exists(), "the file is whole by itself"


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2])
def test_a_signal_during_the_start_stops_the_service(tmp_path: Path, delay: float) -> None:
    file = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", "--database-url", file], stderr=subprocess.PIPE
    ) as starting:
        time.sleep(delay)
        starting.terminate()
        assert starting.wait(10) in {0, -signal.SIGTERM}
    with sqlite3.connect(tmp_path / "batchbandit.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_stopped_service_has_answered_what_it_accepted(tmp_path: Path) -> None:
    server = start(tmp_path)
    log = tmp_path / "acks.jsonl"
    threading.Timer(1.0, server.process.send_signal, [signal.SIGTERM]).start()
    asyncio.run(run_load(server.url, connections=8, jobs=4, seconds=3, warmup=0, ack_log=log))
    assert server.process.wait(15) == 0
    assert audit(server.database_url, log).faults == []
    with closing(sqlite3.connect(server.database)) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM Trial").fetchone()
    assert stored == sum('"suggested"' in line for line in log.read_text().splitlines())


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_second_service_on_one_file_is_refused(server: Server) -> None:
    second = serve("--port", "0", "--database-url", f"sqlite+aiosqlite:///{server.database}")
    assert second.returncode == 2
    assert f"pid {server.process.pid}" in second.stderr
    assert "--database-url" in second.stderr
    assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 200


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    refused = serve(
        BATCHBANDIT_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/missing/folder.db", BATCHBANDIT_PORT="0"
    )
    assert refused.returncode == 2
    assert "missing" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert serve(BATCHBANDIT_PORT="http").returncode == 2
    assert serve(BATCHBANDIT_HOST="256.0.0.1", BATCHBANDIT_PORT="0").returncode == 2


@pytest.mark.parametrize("host", ["256.0.0.1", "[::1]", "é..x", "a" * 70, "203.0.113.1"])
def test_an_address_that_cannot_be_had_is_said(tmp_path: Path, host: str) -> None:
    file = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    refused = serve("--host", host, "--port", "0", "--database-url", file)
    assert refused.returncode == 2
    assert "--host" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_said(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    refused = serve("--port", port, "--database-url", f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    assert refused.returncode != 0
    assert "Address already in use" in refused.stderr
    assert "--port" in refused.stderr
    assert not (tmp_path / "other.db").exists()
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_readers_read_beside_a_busy_service(server: Server, api: Api) -> None:
    job_id = api.register()["job_id"]
    with closing(sqlite3.connect(server.database)) as reader:
        for count in range(1, 6):
            api.run(job_id)
            seen = reader.execute("SELECT count(*) FROM Trial WHERE job_id = ?", (job_id,)).fetchone()
            assert seen == (count,), "an answered write is there for every reader"
