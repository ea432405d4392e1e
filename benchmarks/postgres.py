"""A Postgres server of one's own: a child process on a free port and a temporary folder."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from benchmarks.programs import programs_for
from benchmarks.server import ServerFailed
from benchmarks.unprivileged import (
    HOST,
    User,
    environment,
    free_port,
    last_words,
    reachable_folder,
    unprivileged_user,
)

ROLE = "batchbandit"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": ".",  # the data folder; its whole path might be too long for a socket
    "max_connections": "200",
    "shared_buffers": "32MB",
}
"""What differs from Postgres' own settings; all that makes a commit durable is left as it is."""
START_LIMIT = 60.0
"""Seconds until a server must be ready, its recovery from a crash included."""
STOP_LIMIT = 15.0
"""Seconds that a server has to disconnect its clients and write a checkpoint before it is stopped harder."""
STILL_DYING = re.compile("shared memory block .* is still in use")
"""What a server says that starts before the children of a killed one are gone."""


class Postgres(Struct, frozen=True):
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    programs: Path
    host: str = HOST

    def url(self, database: str) -> str:
        """Return the URL of a database, as the service takes it."""
        return f"postgresql+asyncpg://{ROLE}@{self.host}:{self.port}/{database}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server and wait until it is ready; end it, and delete its databases, at the end.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become ready.
    """
    with postgres_folder() as folder:
        server = start(folder)
        try:
            yield server
        finally:
            abandon(server)


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """Make a temporary folder in which a server can be started; delete it at the end."""
    with reachable_folder(unprivileged_user()) as folder:
        yield folder


def start(folder: Path) -> Postgres:
    """Start a server in ``folder``, new or as an earlier server left it; return it once it is ready.

    The earlier one may have been killed, if its process was waited for: what it had committed is recovered.
    The port is the same again. On Linux a server ends with the thread that starts it.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not become ready.
    """
    user = unprivileged_user()
    if not user.reaches(folder):
        raise ServerFailed(
            f"{user.name}, who runs Postgres for root, cannot reach {folder}: use postgres_folder()"
        )
    programs = programs_for(user, folder)
    if not (folder / "data").exists():
        _initialise(programs, folder, user)
    deadline = time.monotonic() + START_LIMIT
    while True:
        server = _launch(programs, folder, user)
        try:
            if _becomes_ready(server, deadline):
                return server
        except BaseException:
            stop(server)
            raise
        time.sleep(0.05)


def stop(server: Postgres) -> int:
    """Disconnect the clients of a server, then end it; return its exit code."""
    for order in (signal.SIGINT, signal.SIGQUIT):
        server.process.send_signal(order)
        try:
            return server.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            continue
    return kill(server)


def abandon(server: Postgres) -> int:
    """End a server whose databases nobody needs any more, without a checkpoint; return its exit code."""
    server.process.send_signal(signal.SIGQUIT)
    try:
        return server.process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        return kill(server)


def kill(server: Postgres) -> int:
    """End a server as kill -9 does, which it can do nothing about; return its exit code."""
    server.process.kill()
    return server.process.wait()


def create_database(server: Postgres, name: str) -> str:
    """Create an empty database; return its URL.

    Raises:
        ServerFailed: The server did not create it.
    """
    address = ["--host", server.host, "--port", str(server.port), "--username", ROLE]
    command = [str(server.programs / "createdb"), *address, name]
    # S603: the program is the machine's or the wheel's own.
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise ServerFailed(done.stderr.strip())
    return server.url(name)


def _initialise(programs: Path, folder: Path, user: User) -> None:
    """Make the folder of the data, with the settings, of which the port is one, in it."""
    data = folder / "data"
    log = folder / "initdb.log"
    data.mkdir(mode=0o700)
    user.own(data)
    # What initdb does not flush is lost when the machine ends, and so is the whole temporary folder.
    locale = ["--encoding", "UTF8", "--locale", "C"]
    options = ["--username", ROLE, "--auth", "trust", *locale, "--no-sync", "--no-instructions"]
    process = user.spawn([programs / "initdb", "--pgdata", data, *options], folder, log)
    try:
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code != 0:
        raise ServerFailed(f"initdb failed:\n{last_words(log)}")
    lines = [f"{name} = '{value}'\n" for name, value in {**SETTINGS, "port": free_port()}.items()]
    with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(lines)


def _launch(programs: Path, folder: Path, user: User) -> Postgres:
    """Start the process of a server."""
    log = folder / "postgres.log"
    settings = (folder / "data" / "postgresql.conf").read_text(encoding="utf-8")
    port = int(re.findall(r"^port = '(\d+)'", settings, re.MULTILINE)[-1])
    process = user.spawn([programs / "postgres", "-D", folder / "data"], folder, log)
    return Postgres(port, process, folder, log, programs)


def _becomes_ready(server: Postgres, deadline: float) -> bool:
    """Wait until a server is ready; tell that it is not if it must wait for a killed one's children to end.

    Raises:
        ServerFailed: It ended at once or it did not become ready.
    """
    while not _ready(server):
        late = time.monotonic() > deadline
        if server.process.poll() is not None:
            if STILL_DYING.search(last_words(server.log, 2)) and not late:
                return False
            raise ServerFailed(f"Postgres ended at once:\n{last_words(server.log)}")
        if late:
            raise ServerFailed(
                f"Postgres was not ready within {START_LIMIT:.0f} s:\n{last_words(server.log)}"
            )
        time.sleep(0.02)
    return True


def _ready(server: Postgres) -> bool:
    """Tell whether a server says, in the file that it keeps for this, that it takes connections."""
    try:
        lines = (server.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(server.process.pid)] and lines[-1] == "ready"
