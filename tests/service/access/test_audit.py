"""Who registered, deleted, or made a token, and when: kept with what they did, or not at all."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from benchmarks.server import Server
from service.credentials import Role
from tests.service.access.holders import Guarded, client, id_of, make_token, revoke
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api, job_body


@pytest.fixture
def trainer(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client that may train jobs."""
    with client(guarded.server, guarded.tokens[Role.TRAINER]) as http:
        yield http


def told(tables: Tables, subject: str) -> list[tuple[str, str]]:
    """Return who did what to a job or token, in its order."""
    query = 'SELECT actor, action FROM "AuditEvent" WHERE subject = :subject ORDER BY event_id'
    return [(actor, action) for actor, action in tables.rows(query, subject=subject)]


def test_who_registers_and_who_deletes_a_job_is_kept(
    guarded: Guarded, trainer: httpx.Client, operator: httpx.Client, kept: Tables
) -> None:
    job_id = Api(trainer).register()["job_id"]
    one, other = (id_of(guarded.tokens[role]) for role in (Role.TRAINER, Role.OPERATOR))
    assert told(kept, job_id) == [(one, "register job")]
    assert Api(operator).delete(job_id).status_code == 200
    assert told(kept, job_id) == [(one, "register job"), (other, "delete job")]


def test_a_job_that_the_service_names_is_kept_by_that_name(
    guarded: Guarded, trainer: httpx.Client, kept: Tables
) -> None:
    job_id = trainer.post("/jobs", json=job_body(job_id=...)).json()["job_id"]
    assert told(kept, job_id) == [(id_of(guarded.tokens[Role.TRAINER]), "register job")]


def test_what_did_not_happen_is_not_kept(trainer: httpx.Client, operator: httpx.Client, kept: Tables) -> None:
    body = job_body()
    job_id = body["job_id"]
    bodies = (body, body, body | {"max_epochs": 7})
    statuses = [trainer.post("/jobs", json=each).status_code for each in bodies]
    assert statuses == [201, 200, 409]
    assert Api(trainer).delete(job_id).status_code == 403
    assert len(told(kept, job_id)) == 1, "one registration of three calls, and no deletion"
    assert [Api(operator).delete(job_id).status_code for _ in range(2)] == [200, 404]
    assert len(told(kept, job_id)) == 2


def test_one_of_many_who_register_and_delete_at_a_time_is_kept(guarded: Guarded, kept: Tables) -> None:
    body = job_body()

    async def scene() -> list[int]:
        server, token = guarded.server, guarded.tokens[Role.OPERATOR]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
            made = await asyncio.gather(*(http.post("/jobs", json=body) for _ in range(10)))
            params = {"job_id": body["job_id"]}
            gone = await asyncio.gather(*(http.delete("/jobs", params=params) for _ in range(10)))
        return [answer.status_code for answer in (*made, *gone)]

    statuses = asyncio.run(scene())
    assert statuses.count(201) == 1
    assert statuses.count(404) == 9
    assert [action for _, action in told(kept, body["job_id"])] == ["register job", "delete job"]


def test_when_it_was_done_is_kept_in_utc(trainer: httpx.Client, kept: Tables) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    job_id = Api(trainer).register()["job_id"]
    after = datetime.now(UTC).replace(tzinfo=None)
    [(moment,)] = kept.rows('SELECT timestamp FROM "AuditEvent" WHERE subject = :job', job=job_id)
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    assert before <= moment <= after


def test_tokens_that_are_made_and_revoked_are_kept(guarded: Guarded, kept: Tables) -> None:
    url = guarded.server.database_url
    token = make_token(url, Role.READER)
    revoke(url, token)
    assert told(kept, id_of(token)) == [("command line", "create token"), ("command line", "revoke token")]


def test_where_nobody_needs_a_token_it_is_said(open_server: Server) -> None:
    with client(open_server) as http, open_tables(open_server.database_url) as tables:
        job_id = Api(http).register()["job_id"]
        assert Api(http).delete(job_id).status_code == 200
        assert told(tables, job_id) == [("open", "register job"), ("open", "delete job")]
