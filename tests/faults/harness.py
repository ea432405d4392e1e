"""Faults under load: what is done to a service while clients train, and what the tables say afterwards."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

from benchmarks.audit import audit
from benchmarks.load import job_body, run_load
from benchmarks.postgres import Postgres
from benchmarks.postgres import start as start_postgres
from benchmarks.server import Child, free_port, launch, stop

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
LONG = bool(os.environ.get("BATCHBANDIT_LONG_FAULTS"))
LIMIT = 60.0
"""Seconds in which a service must serve again."""
PROBE = "probe-1"
"""The job whose suggestions tell whether a service serves."""


class Row(Struct, frozen=True):
    """A line of the table: what was sent, what was acknowledged, and what became of that."""

    fault: str
    store: str
    attempts: int
    acknowledged: int
    lost: int
    doubled: int
    seconds: float | None = None
    """From the end of the cause to a request that succeeds; None where that says nothing."""


class Service:
    """A service that can die and be started again where it was."""

    def __init__(self, folder: Path, database_url: str | None = None, **environment: str) -> None:
        self.port = free_port()
        self.database = folder / "batchbandit.db"
        self.database_url = database_url or f"sqlite+aiosqlite:///{self.database}"
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"server-{self.port}.log"
        self._environment = environment
        self._child: Child | None = None

    @property
    def store(self) -> str:
        """The kind of its database, as the table has it."""
        return "SQLite" if self.database_url.startswith("sqlite") else "Postgres"

    @property
    def child(self) -> Child:
        """The process."""
        assert self._child is not None
        return self._child

    def start(self) -> None:
        """Start it; return once it is healthy."""
        command = [PROGRAM, "serve", "--port", str(self.port), "--database-url", self.database_url]
        self._child = launch(command, self.port, self._log, environment=self._environment)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.child.process.kill()
        assert self.child.process.wait() == -signal.SIGKILL

    def serves(self) -> bool:
        """Tell whether a new trial can be had."""
        try:
            answer = httpx.get(
                f"{self.url}/jobs/batch_size", params={"job_id": PROBE}, timeout=LIMIT, trust_env=False
            )
        except httpx.TransportError:
            return False
        assert answer.status_code in {200, 503}, answer.text
        return answer.status_code == 200


class Mortal:
    """A Postgres that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres: Postgres = start_postgres(folder)

    def restart(self) -> None:
        """Start it again, on this thread, which it ends with."""
        self.postgres = start_postgres(self.folder)


@contextmanager
def serving(*services: Service) -> Iterator[None]:
    """Start services of one database; stop them, all well, at the end."""
    try:
        for service in services:
            service.start()
        body = job_body(PROBE, num_pruning_rounds=0)
        httpx.post(f"{services[0].url}/jobs", json=body, trust_env=False).raise_for_status()
        yield
        codes = {stop(service.child) for service in services}
        assert codes == {0}, "each could finish what it had begun"
    finally:
        for service in services:
            if service._child is not None:  # noqa: SLF001  (the class is this module's)
                stop(service.child)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:.0f} s: {what}"
        time.sleep(0.02)


def endure(
    fault: str,
    store: str,
    services: Sequence[Service],
    inject: Callable[[], float],
    log: Path,
    seconds: float,
    *,
    connections: int = 16,
    jobs: int = 8,
) -> Row:
    """Put services under load, let something happen to them meanwhile, and count.

    Args:
        fault: Its name in the table.
        store: What is served.
        services: They serve one database, and do again afterwards.
        inject: Does it, on this thread, after a while of load; returns the moment (monotonic seconds) from
            which nothing stood in the way any more.
        log: A file for the acknowledgements.
        seconds: How long the load goes on, at least.
        connections: Of the load.
        jobs: Of the load.
    """
    load = run_load(
        *(service.url for service in services),
        connections=connections,
        jobs=jobs,
        seconds=seconds,
        warmup=0,
        ack_log=log,
        is_persistent=True,
    )
    with ThreadPoolExecutor(max_workers=1) as thread:
        loading = thread.submit(asyncio.run, load)
        wait_until(lambda: log.exists() and log.stat().st_size > 0, "a first acknowledgement")
        time.sleep(seconds / 5)
        began = inject()
        for service in services:
            wait_until(service.serves, "the service serves again by itself")
        recovered = time.monotonic() - began
        attempts = loading.result().attempts
    return counted(Row(fault, store, attempts, 0, 0, 0, recovered), services[0].database_url, log)


def counted(row: Row, database_url: str, log: Path) -> Row:
    """Return a row with what the tables say of a log; whatever is wrong is said."""
    found = audit(database_url, log)
    assert found.acknowledged > 0
    assert found.faults == []
    checked = check(database_url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return Row(
        row.fault,
        row.store,
        row.attempts,
        found.acknowledged,
        len(found.lost),
        len(found.doubled),
        row.seconds,
    )


def check(database_url: str) -> subprocess.CompletedProcess[str]:
    """Run ``batchbandit db check``."""
    return run("db", "check", "--database-url", database_url)


def run(*arguments: str | Path, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command of the service that is expected to end by itself; ``before`` it another program."""
    return subprocess.run(
        [*before, PROGRAM, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=LIMIT
    )
