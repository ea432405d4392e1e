"""Several workers behind one address."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.postgres import create_database, kill, postgres_folder
from benchmarks.postgres import start as start_postgres
from benchmarks.postgres import stop as stop_postgres
from benchmarks.server import Child, free_port, launch, stop

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
WORKERS = 2
ANSWERED = 'batchbandit_requests_total{call="GET /openapi.json",status="200"}'


@pytest.fixture
def server(new_postgres_url: Callable[[], str], tmp_path: Path) -> Iterator[Child]:
    """Return a service of several workers."""
    port = free_port()
    options = ["--port", str(port), "--workers", str(WORKERS), "--database-url", new_postgres_url()]
    child = launch([PROGRAM, "serve", *options], port, tmp_path / "server.log")
    yield child
    stop(child)


def test_any_worker_sums_the_figures_of_all(server: Child) -> None:
    for _ in range(30):  # each on a connection of its own, and so at any worker
        assert get(server, "/openapi.json").is_success
    deadline = time.monotonic() + 20
    while figure(server, ANSWERED) < 30:
        assert time.monotonic() < deadline
    for _ in range(5):
        assert figure(server, ANSWERED) == 30
        assert figure(server, 'batchbandit_request_seconds_count{call="GET /openapi.json"}') == 30
    assert figure(server, "batchbandit_waiting_commands") == 0


def test_a_worker_that_is_killed_is_replaced_and_its_figures_stay(server: Child) -> None:
    for _ in range(10):
        get(server, "/openapi.json")
    before = wait_for_workers(server)
    deadline = time.monotonic() + 20
    while figure(server, ANSWERED) < 10:  # a request is counted when it has been answered
        assert time.monotonic() < deadline
    os.kill(before[0], signal.SIGKILL)
    while set(before) & set(now := wait_for_workers(server)) != set(before[1:]) or len(now) < WORKERS:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert figure(server, ANSWERED) == 10


def test_sigterm_ends_all_workers(server: Child) -> None:
    workers = wait_for_workers(server)
    server.process.terminate()
    assert server.process.wait(15) == 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in server.last_words()


def test_workers_drain_also_where_each_gets_the_signal_twice(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    """As under systemd, which signals every process, beside the parent, which tells its workers."""
    port = free_port()
    options = ["--workers", "2", "--drain-seconds", "2", "--database-url", new_postgres_url()]
    server = launch([PROGRAM, "serve", "--port", str(port), *options], port, tmp_path / "server.log")
    try:
        workers = wait_for_workers(server, 2)
        began = time.monotonic()
        for pid in (*workers, server.process.pid):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.5)
        assert get(server, "/healthz").is_success
        assert get(server, "/readyz").status_code == 503
        assert server.process.wait(15) == 0
        assert time.monotonic() - began > 2
    finally:
        stop(server)


@pytest.mark.parametrize("after", [0.1, 0.3, 0.6, 0.9])
def test_a_signal_while_workers_start_ends_them_all(
    new_postgres_url: Callable[[], str], tmp_path: Path, after: float
) -> None:
    log = tmp_path / "server.log"
    options = ["--port", "0", "--workers", "3", "--database-url", new_postgres_url()]
    with log.open("w") as output:
        server = subprocess.Popen([PROGRAM, "serve", *options], stdout=output, stderr=output)
    deadline = time.monotonic() + 20
    while "with 3 workers" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(after)
    server.terminate()
    assert server.wait(20) == 0
    assert "Traceback" not in log.read_text()


def test_workers_without_a_database_leave_no_figures_behind(tmp_path: Path) -> None:
    port = free_port()
    with postgres_folder() as folder:
        postgres = start_postgres(folder)
        try:
            options = ["--workers", "2", "--database-url", create_database(postgres, "gone")]
            command = [PROGRAM, "serve", "--port", str(port), *options]
            environment = {"TMPDIR": str(tmp_path)}
            server = launch(command, port, tmp_path / "server.log", environment=environment)
            wait_for_workers(server, 2)
            [figures] = tmp_path.glob("batchbandit-metrics-*")
            kill(postgres)
            for pid in wait_for_workers(server, 2):
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while server.log.read_text().count("cannot be used") < 4:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert len(list(figures.iterdir())) < 12, "those of the two that served, and of two that start"
            stop(server)
        finally:
            stop_postgres(postgres)


def test_workers_end_with_the_process_that_started_them(server: Child) -> None:
    workers = wait_for_workers(server)
    server.process.kill()
    server.process.wait()
    deadline = time.monotonic() + 15
    while [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_sqlite_file_has_one_worker(tmp_path: Path) -> None:
    file = tmp_path / "batchbandit.db"
    options = ["--port", "0", "--workers", "2", "--database-url", f"sqlite+aiosqlite:///{file}"]
    refused = subprocess.run(
        [PROGRAM, "serve", *options], check=False, capture_output=True, text=True, timeout=30
    )
    assert refused.returncode == 2
    assert "use --workers 1, or Postgres" in refused.stderr
    assert not file.exists()


def get(server: Child, path: str) -> httpx.Response:
    """Ask on a connection of its own."""
    return httpx.get(server.url + path, trust_env=False)


def figure(server: Child, name: str) -> float:
    """Return one of the service's figures."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", get(server, "/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def wait_for_workers(server: Child, count: int = WORKERS) -> list[int]:
    """Return the processes that serve, once all are there."""
    deadline = time.monotonic() + 20
    while server.log.read_text().count("Application startup complete") < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pids = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", server.log.read_text())]
    return [pid for pid in pids if is_running(pid)]


def is_running(pid: int) -> bool:
    """Tell whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
