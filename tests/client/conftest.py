"""What the tests of the client share: a service in a process of its own, and a folder for the client."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from batchbandit import locks, notices
from batchbandit.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SERVE = "BATCHBANDIT_SERVE"
"""The variable with the command that serves; without it, the repository's own environment has it."""
REQUIRE_ALL = "BATCHBANDIT_REQUIRE_ALL"
"""The variable that lets no test be skipped for want of a program."""
START_LIMIT = 30.0
"""Seconds until a service must be ready."""
STOP_LIMIT = 15.0
"""Seconds that a service has to finish what it began before it is killed."""
RANK_VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
)


class Server:
    """A service that can die and be started again where it was: on its port, with its SQLite file."""

    def __init__(self, command: list[str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "batchbandit.db"
        self.database_url = f"sqlite+aiosqlite:///{self.database}"
        self._log = folder / "server.log"
        self._command = [*command, "--host", "127.0.0.1", "--port", str(self.port)]
        self._command += ["--database-url", self.database_url]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; return once it can serve."""
        assert not self.is_running, "it runs already"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHBANDIT_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self._process is not None
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL

    def stop(self) -> None:
        """Let it finish what it has begun, and end it; one that does not run is let be."""
        if self._process is None or not self.is_running:
            return
        self._process.terminate()
        try:
            assert self._process.wait(STOP_LIMIT) == 0, self._last_words()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        with httpx.Client(trust_env=False) as client:
            while not self._is_ready(client):
                assert self.is_running, self._last_words()
                assert time.monotonic() < deadline, self._last_words()
                time.sleep(0.02)

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@pytest.fixture(scope="session")
def serve_command() -> list[str]:
    """Return the command that serves; without one, tests of a service are skipped."""
    command = shlex.split(os.environ.get(SERVE, "")) or [str(ROOT / ".venv" / "bin" / "batchbandit"), "serve"]
    if not Path(command[0]).exists():
        reason = f"{command[0]} is not there: run `make test` once, or name what serves in {SERVE}"
        assert REQUIRE_ALL not in os.environ, reason
        pytest.skip(reason)
    return command


@pytest.fixture(scope="session")
def shared_server(serve_command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the service of all tests; `server` is what tests take."""
    server = Server(serve_command, tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Return a running service, which other tests use too, each with jobs of its own; it may be killed."""
    if not shared_server.is_running:
        shared_server.start()
    return shared_server


@pytest.fixture
def own_server(serve_command: list[str], tmp_path: Path) -> Iterator[Server]:
    """Return a running service whose database is the test's alone."""
    server = Server(serve_command, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the client's state folder, the test's own; nothing of the machine's settings reaches a test."""
    for name in [*RANK_VARIABLES, *(name for name in os.environ if name.startswith("BATCHBANDIT_"))]:
        if name not in {SERVE, REQUIRE_ALL}:
            monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "state"
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Let each test be a process that has said nothing yet and holds nothing."""
    notices.say_once.cache_clear()
    yield
    locks.let_go()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Return an empty spool."""
    return Spool(tmp_path)
