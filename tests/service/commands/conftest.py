"""The program as a process, against a real server of some jobs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
import pytest
from click.testing import CliRunner

from benchmarks.server import Server, running_server
from service.cli import main
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api

PROGRAM = Path(sys.executable).parent / "batchbandit"
STEERING = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "BATCHBANDIT_URL", "BATCHBANDIT_TOKEN")
"""Variables that change what is printed, or who is asked."""
LEARNED, WALKING, ODD = "resnet-learned", "resnet-walking", "odd/na\tme\x1b[31m\n-9"


class Done(NamedTuple):
    """What a process said, and its exit code."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """What runs the program."""

    def __call__(self, *arguments: str, **environment: str) -> Done:
        """Run it with nobody to ask, and variables in the environment."""


def run_program(*arguments: str, **environment: str) -> Done:
    """Run the program as a process, with nothing in the environment that changes what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in STEERING}
    done = subprocess.run(
        [PROGRAM, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=kept | environment,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_inside(*arguments: str, **environment: str) -> Done:
    """Run the same within this process, which is quicker."""
    runner = CliRunner(env={**dict.fromkeys(STEERING), **environment})
    result = runner.invoke(main, arguments, prog_name="batchbandit")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def run() -> Run:
    """Return what runs the program, within this process."""
    return run_inside


@pytest.fixture(scope="session")
def program() -> Run:
    """Return what runs the program as a process."""
    return run_program


@pytest.fixture(scope="session")
def jobs_server() -> Iterator[Server]:
    """Return a server of three jobs: one that has learned, one that explores, one of an odd name."""
    with running_server() as server:
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
            fill(Api(http))
        yield server


def fill(api: Api) -> None:
    """Register the jobs, and let them recur."""
    api.register(job_id=LEARNED, job_id_prefix="resnet")
    api.to_bandit(LEARNED, {8: 30_000.0, 16: 20_000.0, 32: 26_000.0})
    for _ in range(6):
        trial = api.trial(LEARNED)
        api.report(trial, energy=1_000.0 * trial["batch_size"] + 900.0 * trial["trial_number"])
        api.end(trial)
    api.register(job_id=WALKING, job_id_prefix="resnet")
    api.run(WALKING)
    api.end(api.trial(WALKING) | {"reason": "OutOfMemoryError"})
    api.trial(WALKING)
    api.register(job_id=ODD, job_id_prefix="")


@pytest.fixture(scope="session")
def own_sqlite_server() -> Iterator[Server]:
    """Return a server on a SQLite file that no other tests fill."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def own_postgres_server(new_postgres_url: Callable[[], str]) -> Iterator[Server]:
    """Return a server on a Postgres database that no other tests fill."""
    with running_server(new_postgres_url()) as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def own_server(request: pytest.FixtureRequest) -> Server:
    """Return a server, on each kind of database, that no other tests fill: some look at all that is there."""
    running: Server = request.getfixturevalue(f"own_{request.param}_server")
    return running


@pytest.fixture
def own_api(own_server: Server) -> Iterator[Api]:
    """Return the calls of a training job of that server."""
    with httpx.Client(base_url=own_server.url, timeout=30, trust_env=False) as http:
        yield Api(http)


@pytest.fixture
def own_tables(own_server: Server) -> Iterator[Tables]:
    """Return a reader of that server's database."""
    with open_tables(own_server.database_url) as opened:
        yield opened


@pytest.fixture
def ask(jobs_server: Server) -> Run:
    """Return what runs the program with that server, within this process."""
    return partial(run_inside, BATCHBANDIT_URL=jobs_server.url)


@pytest.fixture
def ask_program(jobs_server: Server) -> Run:
    """Return what runs the program with that server as a process."""
    return partial(run_program, BATCHBANDIT_URL=jobs_server.url)
