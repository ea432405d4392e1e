"""The policy of a job over HTTP, and with what it begins."""

from typing import Any

import httpx
import pytest

from core.records import Policy
from tests.service.tables import Tables
from tests.service.talk import Api, job_body


@pytest.mark.parametrize("policy", Policy)
def test_each_policy_can_be_named(http: httpx.Client, policy: Policy) -> None:
    answer = http.post("/jobs", json=job_body(policy=policy))
    assert (answer.status_code, answer.json()["policy"]) == (201, policy)


def test_the_policy_is_compared_only_where_it_is_named(http: httpx.Client) -> None:
    body = job_body()
    registered = http.post("/jobs", json=body).json()
    assert (registered["policy"], registered["warm_start_from"]) == ("zeus", None)
    again = http.post("/jobs", json=body | {"policy": "zeus", "warm_start_from": None})
    assert (again.status_code, again.json()) == (200, registered)


@pytest.mark.parametrize(
    "members",
    [
        {"policy": "greedy"},
        {"policy": "ZEUS"},
        {"policy": None},
        {"policy": 7},
        {"warm_start_from": "*"},
        {"warm_start_from": "another"},
        {"policy": "zeus", "warm_start_from": "another"},
        {"policy": "frugal", "warm_start_from": ""},
        {"policy": "frugal", "warm_start_from": 7},
        {"policy": "frugal", "warm_start_from": "x" * 401},
    ],
)
def test_an_impossible_policy_or_beginning_is_refused(
    http: httpx.Client, tables: Tables, members: dict[str, Any]
) -> None:
    body = job_body(**members)
    answer = http.post("/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][1] in members
    assert tables.rows('SELECT job_id FROM "Job" WHERE job_id = :job_id', job_id=body["job_id"]) == []


def test_a_job_is_shown_with_its_policy_and_its_drifts(api: Api, http: httpx.Client) -> None:
    shown = http.get(f"/api/v1/jobs/{api.register()['job_id']}").json()
    assert (shown["policy"], shown["num_drifts"]) == ("zeus", 0)
    assert (shown["specification"]["policy"], shown["specification"]["warm_start_from"]) == ("zeus", None)


def test_a_job_begins_with_another_one(api: Api, http: httpx.Client) -> None:
    source = api.register(policy="frugal")["job_id"]
    body = job_body(policy="frugal", warm_start_from=source)
    registered = http.post("/jobs", json=body)
    assert (registered.status_code, registered.json()["warm_start_from"]) == (201, source)
    unnamed = {name: value for name, value in body.items() if name not in {"policy", "warm_start_from"}}
    assert http.post("/jobs", json=unnamed).json() == registered.json()
    for other in (
        {"warm_start_from": None},
        {"warm_start_from": "*"},
        {"policy": "zeus", "warm_start_from": None},
    ):
        assert http.post("/jobs", json=body | other).status_code == 409
    itself = http.post("/jobs", json=body | {"warm_start_from": body["job_id"]})
    assert (itself.status_code, "another job" in itself.text) == (422, True)


def test_a_job_to_begin_with_has_to_be_there(http: httpx.Client, tables: Tables) -> None:
    body = job_body(policy="frugal", warm_start_from="nobody")
    refused = http.post("/jobs", json=body)
    assert (refused.status_code, refused.json()["type"]) == (404, "urn:batchbandit:problem:job-not-found")
    assert "name another job there" in refused.json()["message"]
    assert tables.rows('SELECT job_id FROM "Job" WHERE job_id = :job_id', job_id=body["job_id"]) == []
    assert http.post("/jobs", json=body | {"warm_start_from": "*"}).status_code == 201
