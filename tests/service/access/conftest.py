"""A service that asks for tokens, on each kind of database."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from benchmarks.server import Server, running_server
from service.credentials import Role
from tests.service.access.holders import Guarded, client, make_token, running_guarded, until_known
from tests.service.tables import Tables, open_tables
from tests.service.talk import job_body


@pytest.fixture(scope="session")
def sqlite_guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Return such a service on a SQLite file."""
    file = tmp_path_factory.mktemp("guarded") / "guarded.db"
    with running_guarded(f"sqlite+aiosqlite:///{file}") as guarded:
        yield guarded


@pytest.fixture(scope="session")
def postgres_guarded(new_postgres_url: Callable[[], str]) -> Iterator[Guarded]:
    """Return such a service on a Postgres database."""
    with running_guarded(new_postgres_url()) as guarded:
        yield guarded


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def guarded(request: pytest.FixtureRequest) -> Guarded:
    """Return a service that asks for tokens; it runs on while tests turn to the other kind of database."""
    running: Guarded = request.getfixturevalue(f"{request.param}_guarded")
    return running


@pytest.fixture(scope="session")
def kept(guarded: Guarded) -> Iterator[Tables]:
    """Return a reader of the service's database."""
    with open_tables(guarded.server.database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def operator(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client that may delete jobs."""
    with client(guarded.server, guarded.tokens[Role.OPERATOR]) as opened:
        yield opened


@pytest.fixture(scope="session")
def trainer(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client whose token is for the jobs of a team."""
    token = make_token(guarded.server.database_url, Role.TRAINER, "team-")
    with client(guarded.server, token) as opened:
        until_known(opened)
        yield opened


@pytest.fixture(scope="session")
def theirs(operator: httpx.Client) -> str:
    """Return a job of others than the team."""
    body = job_body(job_id="others-job", job_id_prefix="others")
    return str(operator.post("/jobs", json=body).raise_for_status().json()["job_id"])


@pytest.fixture
def open_server() -> Iterator[Server]:
    """Return a service of one's own, on a SQLite file for which no token was ever made."""
    with running_server() as server:
        yield server
