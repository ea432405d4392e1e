"""A batchbandit server of one's own: a child process on a free port and a temporary SQLite file."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from msgspec import Struct

START_LIMIT = 30.0
"""Seconds until a server must answer."""
STOP_LIMIT = 15.0
"""Seconds that a server has to finish what it began before it is killed."""
LOG_LINES = 15


class ServerFailed(Exception):
    """The server could not be started; the message has the end of its log."""


class Server(Struct, frozen=True):
    """A running server."""

    url: str
    database: Path
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """Return the end of the server's log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


def stop_when_terminated() -> None:
    """Let SIGTERM interrupt this process as Ctrl-C does, so that it too stops its server."""
    # A shell starts its background processes with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _, __: signal.raise_signal(signal.SIGINT))


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server and wait until it is healthy; stop it, and delete its database, at the end.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become healthy.
    """
    with TemporaryDirectory(prefix="batchbandit-") as folder:
        server = start(Path(folder))
        try:
            yield server
        finally:
            stop(server)


def start(folder: Path) -> Server:
    """Start the server that is installed beside this interpreter; return it once it is healthy.

    Its database and log are files in ``folder``, new or as an earlier server left them.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become healthy.
    """
    program = Path(sys.executable).parent / "batchbandit"
    database = folder / "batchbandit.db"
    log = folder / "server.log"
    port = _free_port()
    address = ["--host", "127.0.0.1", "--port", str(port)]
    command = [str(program), "serve", *address, "--database-url", f"sqlite+aiosqlite:///{database}"]
    try:
        with log.open("ab") as output:
            # S603: the program is the one installed with this package, its arguments are made above.
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
    except OSError as error:
        raise ServerFailed(
            f"{program}: {error.strerror}; install the package into this environment"
        ) from None
    server = Server(f"http://127.0.0.1:{port}", database, process, log)
    try:
        _wait_until_healthy(server)
    except BaseException:
        stop(server)
        raise
    return server


def stop(server: Server) -> int:
    """Let a server finish, then end it; return its exit code."""
    server.process.terminate()
    try:
        return server.process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        server.process.kill()
        return server.process.wait()


def _free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_until_healthy(server: Server) -> None:
    """Ask for its health until it is good."""
    deadline = time.monotonic() + START_LIMIT
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        while not _healthy(client):
            if server.process.poll() is not None:
                raise ServerFailed(f"the server ended at once:\n{server.last_words()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"no good health within {START_LIMIT:.0f} s:\n{server.last_words()}")
            time.sleep(0.05)


def _healthy(client: httpx.Client) -> bool:
    """Tell whether the server answers that it is well."""
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False
