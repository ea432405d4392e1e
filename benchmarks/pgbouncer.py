"""A PgBouncer of one's own before a Postgres server: few connections, lent for a transaction at a time."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from benchmarks.postgres import ROLE, Postgres
from benchmarks.server import ServerFailed
from benchmarks.unprivileged import HOST, User, free_port, last_words, reachable_folder, unprivileged_user

INSTALLED = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
"""Where it is if not on the path, which is without the sbin folders for most users."""
POOL_SIZE = 2
"""Connections to each database."""
START_LIMIT = 30.0
"""Seconds until it must take connections."""


class Pgbouncer(Struct, frozen=True):
    """A running PgBouncer."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    host: str = HOST

    def url(self, database: str) -> str:
        """Return the URL of a database, as the service takes it."""
        return f"postgresql+asyncpg://{ROLE}@{self.host}:{self.port}/{database}"


@contextmanager
def running_pgbouncer(postgres: Postgres) -> Iterator[Pgbouncer]:
    """Start a PgBouncer before all databases of a server, and wait until it listens; end it at the end.

    Raises:
        ServerFailed: It is not installed, it ended at once or it did not listen.
    """
    user = unprivileged_user()
    with reachable_folder(user) as folder:
        pgbouncer = _start(folder, postgres, user)
        try:
            _wait_until_it_listens(pgbouncer)
            yield pgbouncer
        finally:
            # It keeps nothing, and its orders to stop differ between its versions.
            pgbouncer.process.kill()
            pgbouncer.process.wait()


def find_pgbouncer() -> str:
    """Return the program.

    Raises:
        ServerFailed: There is none.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=":".join(INSTALLED))
    if program is None:
        raise ServerFailed("PgBouncer is not installed: install the machine's package, pgbouncer")
    return program


def _start(folder: Path, postgres: Postgres, user: User) -> Pgbouncer:
    """Start the process, with its settings and its log in a folder."""
    program = find_pgbouncer()
    port = free_port()
    log = folder / "pgbouncer.log"
    settings = folder / "pgbouncer.ini"
    settings.write_text(_settings(port, postgres), encoding="utf-8")
    user.own(settings)
    return Pgbouncer(port, user.spawn([program, settings], folder, log), log)


def _settings(port: int, postgres: Postgres) -> str:
    """Return what it is to do; whoever comes is let in as the one role that there is."""
    return f"""\
[databases]
* = host={postgres.host} port={postgres.port} user={ROLE}

[pgbouncer]
listen_addr = {HOST}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {POOL_SIZE}
max_client_conn = 500
"""


def _wait_until_it_listens(pgbouncer: Pgbouncer) -> None:
    """Try to connect until it is possible."""
    deadline = time.monotonic() + START_LIMIT
    while not _listens(pgbouncer):
        if pgbouncer.process.poll() is not None:
            raise ServerFailed(f"PgBouncer ended at once:\n{last_words(pgbouncer.log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"PgBouncer did not listen:\n{last_words(pgbouncer.log)}")
        time.sleep(0.02)


def _listens(pgbouncer: Pgbouncer) -> bool:
    """Tell whether somebody takes connections on its port."""
    try:
        socket.create_connection((pgbouncer.host, pgbouncer.port)).close()
    except ConnectionRefusedError:
        return False
    return True
