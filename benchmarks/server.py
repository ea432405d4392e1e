"""A batchbandit server of one's own: a child process on a free port and a temporary SQLite file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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


class Child(Struct, frozen=True):
    """A child process that answers HTTP."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """Return the end of the server's log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


class Server(Child, frozen=True):
    """A running server; ``database`` is its file where it serves SQLite."""

    database_url: str
    database: Path


def stop_when_terminated() -> None:
    """Let SIGTERM interrupt this process as Ctrl-C does, so that it too stops its server."""
    # A shell starts its background processes with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _, __: signal.raise_signal(signal.SIGINT))


@contextmanager
def running_server(database_url: str | None = None) -> Iterator[Server]:
    """Start a server and wait until it is healthy; stop it, and delete its folder, at the end.

    Args:
        database_url: What to serve instead of a SQLite file in the folder.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become healthy.
    """
    with TemporaryDirectory(prefix="batchbandit-") as folder:
        server = start(Path(folder), database_url)
        try:
            yield server
        finally:
            stop(server)


def start(folder: Path, database_url: str | None = None) -> Server:
    """Start the server that is installed beside this interpreter; return it once it is healthy.

    Its database, where no other is named, and its log are files in ``folder``, new or as an earlier server
    left them.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become healthy.
    """
    program = Path(sys.executable).parent / "batchbandit"
    database = folder / "batchbandit.db"
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port)]
    served = database_url or f"sqlite+aiosqlite:///{database}"
    command = [str(program), "serve", *address, "--database-url", served]
    child = launch(command, port, folder / "server.log")
    return Server(child.url, child.process, child.log, served, database)


def launch(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    health: str = "/healthz",
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a program that serves HTTP on a port of this machine; return it once it answers.

    Args:
        command: The program and its arguments.
        port: Where the command lets it listen.
        log: A file for its output.
        health: What it must answer with a success.
        environment: Variables beside those of this process.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become healthy.
    """
    try:
        with log.open("ab") as output:
            # S603: the callers' programs are those installed with this package or by it.
            process = subprocess.Popen(  # noqa: S603
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
            )
    except OSError as error:
        raise ServerFailed(
            f"{command[0]}: {error.strerror}; install the package into this environment"
        ) from None
    child = Child(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_healthy(child, health)
    except BaseException:
        stop(child)
        raise
    return child


def stop(server: Child) -> int:
    """Let a server finish, then end it; return its exit code."""
    server.process.terminate()
    try:
        return server.process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        server.process.kill()
        return server.process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _wait_until_healthy(server: Child, health: str) -> None:
    """Ask for its health until it is good."""
    deadline = time.monotonic() + START_LIMIT
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        while not _healthy(client, health):
            if server.process.poll() is not None:
                raise ServerFailed(f"the server ended at once:\n{server.last_words()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"no good health within {START_LIMIT:.0f} s:\n{server.last_words()}")
            time.sleep(0.05)


def _healthy(client: httpx.Client, health: str) -> bool:
    """Tell whether the server answers that it is well."""
    try:
        return client.get(health).is_success
    except httpx.TransportError:
        return False
