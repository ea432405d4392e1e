"""Idempotency-Key: what is asked again is answered again, and done once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from benchmarks.server import running_server
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api, job_body, report_body

PATIENCE_SECONDS = 60.0
_numbers = count(1)
Ask = Callable[[httpx.Client], httpx.Response]


@pytest.fixture
def key() -> dict[str, str]:
    """Return the header of a new key."""
    return {"Idempotency-Key": f"key-{next(_numbers)}"}


def trials(tables: Tables, job_id: str) -> int:
    """Return how many trials a job has."""
    [(number,)] = tables.rows('SELECT count(*) FROM "Trial" WHERE job_id = :job_id', job_id=job_id)
    return int(number)


def test_a_suggestion_asked_again_is_the_same_trial(api: Api, tables: Tables, key: dict[str, str]) -> None:
    job_id = api.register()["job_id"]
    asked = [api.http.get("/jobs/batch_size", params={"job_id": job_id}, headers=key) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in asked] == [(200, asked[0].content)] * 3
    assert trials(tables, job_id) == 1
    assert api.trial(job_id)["trial_number"] == 2, "without a key it is a new one"


def test_a_job_without_a_name_is_registered_once(
    http: httpx.Client, tables: Tables, key: dict[str, str]
) -> None:
    body = job_body(job_id=..., job_id_prefix="unnamed-once")
    asked = [http.post("/jobs", json=body, headers=key) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in asked] == [(201, asked[0].content)] * 3
    made = tables.rows('SELECT count(*) FROM "Job" WHERE job_id_prefix = :prefix', prefix="unnamed-once")
    assert made == [(1,)]
    other = http.post("/jobs", json=body, headers={"Idempotency-Key": "another"})
    assert other.json()["job_id"] != asked[0].json()["job_id"]


@pytest.mark.parametrize("at_once", [2, 8])
def test_calls_with_one_key_that_come_at_once_are_one(
    api: Api, tables: Tables, key: dict[str, str], at_once: int
) -> None:
    job_id = api.register()["job_id"]
    body = job_body(job_id=..., job_id_prefix=f"at-once-{at_once}")

    def ask(number: int) -> tuple[int, bytes]:
        with httpx.Client(base_url=api.http.base_url, trust_env=False) as client:
            if number % 2:
                answer = client.post("/jobs", json=body, headers={"Idempotency-Key": f"at-once-{at_once}"})
            else:
                answer = client.get("/jobs/batch_size", params={"job_id": job_id}, headers=key)
            return answer.status_code, answer.content

    with ThreadPoolExecutor(2 * at_once) as pool:
        answers = list(pool.map(ask, range(2 * at_once)))
    assert len(set(answers[::2])) == len(set(answers[1::2])) == 1
    assert (answers[0][0], answers[1][0]) == (200, 201)
    assert trials(tables, job_id) == 1


def test_a_key_belongs_to_one_request(api: Api, tables: Tables, key: dict[str, str]) -> None:
    one, other = api.register()["job_id"], api.register()["job_id"]
    assert api.http.get("/jobs/batch_size", params={"job_id": one}, headers=key).status_code == 200
    requests: list[Ask] = [
        lambda http: http.get("/jobs/batch_size", params={"job_id": other}, headers=key),
        lambda http: http.post("/jobs", json=job_body(job_id="job-of-another-call"), headers=key),
        lambda http: http.post("/api/v1/suggestions", json={"job_ids": [one, other]}, headers=key),
    ]
    before = tables.contents()
    for ask in requests:
        refused = ask(api.http)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:batchbandit:problem:key-reused")
    assert tables.contents() == before


def test_a_bulk_call_asked_again_is_answered_as_a_whole(
    api: Api, tables: Tables, key: dict[str, str]
) -> None:
    job_id = api.register()["job_id"]
    body = {"job_ids": [job_id, "nobody-yet", 5, job_id]}
    first = api.http.post("/api/v1/suggestions", json=body, headers=key)
    api.register(job_id="nobody-yet", job_id_prefix="nobody")
    second = api.http.post("/api/v1/suggestions", json=body, headers=key)
    assert first.content == second.content, "what was refused first stays refused"
    api.delete("nobody-yet")
    trial, _, _, _ = first.json()["suggestions"]
    said = {"reports": [report_body(trial), report_body(trial, trial_number=9)]}
    reported = [
        api.http.post(
            "/api/v1/reports", json=said, headers={"Idempotency-Key": f"{key['Idempotency-Key']}-r"}
        )
        for _ in range(2)
    ]
    assert reported[0].content == reported[1].content
    assert reported[1].json()["verdicts"][0]["message"] == "Train succeeded"
    assert trials(tables, job_id) == 2


def test_a_refusal_keeps_no_key(api: Api, tables: Tables, key: dict[str, str]) -> None:
    before = tables.contents()
    for _ in range(2):
        answer = api.http.get("/jobs/batch_size", params={"job_id": "not-yet"}, headers=key)
        assert answer.status_code == 400
    assert tables.contents() == before
    api.register(job_id="not-yet", job_id_prefix="not")
    assert api.http.get("/jobs/batch_size", params={"job_id": "not-yet"}, headers=key).status_code == 200
    api.delete("not-yet")


@pytest.mark.parametrize("bad", ["", "a b", "x" * 256, "\u00e9"])
def test_an_impossible_key_is_refused(api: Api, tables: Tables, bad: str) -> None:
    job_id = api.register()["job_id"]
    answer = api.http.get(
        "/jobs/batch_size", params={"job_id": job_id}, headers={b"Idempotency-Key": bad.encode("latin-1")}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "idempotency-key"]
    assert trials(tables, job_id) == 0


def test_an_answer_outlives_its_server_and_is_known_to_every_replica(
    new_postgres_url: Callable[[], str],
) -> None:
    url = new_postgres_url()
    headers = {"Idempotency-Key": "across"}
    with running_server(url) as one, running_server(url) as other:
        with httpx.Client(base_url=one.url, trust_env=False) as http:
            job_id = http.post("/jobs", json=job_body()).json()["job_id"]
            first = http.get("/jobs/batch_size", params={"job_id": job_id}, headers=headers)
        one.process.kill()
        with httpx.Client(base_url=other.url, trust_env=False) as http:
            second = http.get("/jobs/batch_size", params={"job_id": job_id}, headers=headers)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    with open_tables(url) as tables:
        assert trials(tables, job_id) == 1


def test_keys_are_forgotten_after_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHBANDIT_KEY_SECONDS", "1")
    with (
        running_server() as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
        open_tables(server.database_url) as tables,
    ):
        job_id = Api(http).register()["job_id"]
        numbers = []
        for _ in range(2):
            answer = http.get("/jobs/batch_size", params={"job_id": job_id}, headers={"Idempotency-Key": "a"})
            numbers.append(answer.json()["trial_number"])
            limit = time.monotonic() + PATIENCE_SECONDS
            while tables.rows('SELECT * FROM "Answer"'):
                assert time.monotonic() < limit
                time.sleep(0.1)
    assert numbers == [1, 2]
