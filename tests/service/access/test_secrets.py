"""Neither an answer nor a log has a secret or a statement in it, whatever goes wrong."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.server import Server, running_server
from service.credentials import Role
from tests.service.access.holders import client, make_token, until
from tests.service.talk import Api, job_body

STATEMENTS = ("SELECT", "INSERT", "UPDATE", "DELETE FROM", "sqlalche", "asyncpg", "sqlite3", "Traceback")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database of the test's own."""
    if request.param == "postgres":
        new: Callable[[], str] = request.getfixturevalue("new_postgres_url")
        return new()
    return f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"


@pytest.fixture
def token(database_url: str) -> str:
    """Return a token of it."""
    return make_token(database_url, Role.OPERATOR)


@pytest.fixture
def guarded_alone(database_url: str, token: str) -> Iterator[Server]:
    """Return a service of the test's own that asks for the token."""
    assert token
    with running_server(database_url) as server:
        yield server


def drop(database_url: str, *tables: str) -> None:
    """Take tables away from under a service."""

    async def run() -> None:
        engine = create_async_engine(database_url)
        async with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                await connection.execute(sa.text("PRAGMA foreign_keys = OFF"))
            for table in tables:
                cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
                await connection.execute(sa.text(f'DROP TABLE "{table}"{cascade}'))
        await engine.dispose()

    asyncio.run(run())


def test_a_broken_database_is_told_without_its_statements(
    guarded_alone: Server, token: str, database_url: str
) -> None:
    with client(guarded_alone, token) as http:
        api = Api(http)
        job_id = api.register()["job_id"]
        trial = api.trial(job_id)
        drop(database_url, "ArmSums", "ArmHistory", "Trial")
        answers = [
            api.suggest(job_id),
            api.report(trial),
            api.end(trial),
            api.delete(job_id),
            http.post("/api/v1/suggestions", json={"job_ids": [job_id]}),
            http.post("/api/v1/reports", json={"reports": []}),
        ]
        drop(database_url, "Token")
        until(lambda: http.post("/jobs", json=job_body()).status_code >= 500)
        answers += [http.post("/jobs", json=job_body()), http.get("/metrics"), api.suggest(job_id)]
    assert {answer.status_code for answer in answers} & {500, 503}
    for answer in answers:
        assert [word for word in STATEMENTS if word in answer.text] == []
        assert token not in answer.text
    log = guarded_alone.log.read_text()
    assert "Trial" in log, "the log says what is wrong"
    assert token not in log
    assert token.split("_", 2)[2] not in log


def test_what_a_caller_sends_to_be_known_is_neither_logged_nor_answered(
    guarded_alone: Server, token: str
) -> None:
    secret = token.split("_", 2)[2]
    url = guarded_alone.url.replace("http://", f"http://userinfo-user:{token}@")
    for path in ("/openapi.json", "/jobs/batch_size", "/nothing", f"/{'x' * 200}", "/metrics"):
        answer = httpx.get(url + path, trust_env=False)
        assert secret not in answer.text
    for header in (f"Digest {token}", f"Bearer {token}x", "Bearer " + "x" * 50_000, token):
        answer = httpx.get(f"{guarded_alone.url}/metrics", headers={"Authorization": header}, trust_env=False)
        assert answer.status_code in {400, 401, 431}
        assert secret not in answer.text
    log = guarded_alone.log.read_text()
    assert secret not in log
    assert "userinfo-user" not in log
