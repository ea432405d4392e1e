"""POST /jobs."""

import re
from typing import Any

import httpx
import pytest

from tests.service.tables import Tables
from tests.service.talk import Api, job_body

REQUIRED = ("job_id_prefix", "batch_sizes", "default_batch_size", "max_power", "number_of_gpus", "gpu_model")


def test_registering_answers_the_whole_specification_in_force(http: httpx.Client) -> None:
    body = {name: job_body()[name] for name in REQUIRED} | {"job_id": "job-defaults"}
    answer = http.post("/jobs", json=body | {"batch_sizes": [32, 8, 16]})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "job_id": "job-defaults",
        "job_id_prefix": "job",
        "batch_sizes": [8, 16, 32],
        "default_batch_size": 16,
        "eta_knob": 0.5,
        "beta_knob": 2.0,
        "target_metric": 0.5,
        "higher_is_better_metric": True,
        "max_epochs": 100,
        "num_pruning_rounds": 2,
        "window_size": 0,
        "mab_prior_mean": 0.0,
        "mab_prior_precision": 0.0,
        "mab_num_explorations": 2,
        "mab_seed": None,
        "max_power": 200.0,
        "number_of_gpus": 1,
        "gpu_model": "V100",
        "lease_seconds": 600.0,
        "max_failures": 3,
        "policy": "zeus",
        "warm_start_from": None,
    }


def test_registering_the_same_job_again_finds_it(http: httpx.Client) -> None:
    body = job_body()
    first = http.post("/jobs", json=body)
    again = http.post("/jobs", json=body | {"batch_sizes": [32, 16, 8], "eta_knob": 0.5})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize(
    "change",
    [
        {"batch_sizes": [8, 16]},
        {"batch_sizes": [8, 16, 32, 64]},
        {"default_batch_size": 8},
        {"eta_knob": 0.25},
        {"beta_knob": None},
        {"target_metric": 0.75},
        {"higher_is_better_metric": False},
        {"max_epochs": 11},
        {"num_pruning_rounds": 3},
        {"window_size": 5},
        {"mab_prior_mean": 1.0},
        {"mab_prior_precision": 1.0},
        {"mab_num_explorations": 3},
        {"mab_seed": None},
        {"max_power": 250},
        {"number_of_gpus": 2},
        {"gpu_model": "A40"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_specification_of_a_registered_job_is_a_conflict(
    http: httpx.Client, change: dict[str, Any]
) -> None:
    body = job_body()
    http.post("/jobs", json=body)
    answer = http.post("/jobs", json=body | change)
    assert answer.status_code == 409
    assert next(iter(change)) in answer.json()["message"]
    assert http.post("/jobs", json=body).status_code == 200


def test_members_that_the_service_does_not_know_are_ignored(http: httpx.Client) -> None:
    assert http.post("/jobs", json=job_body(seed=1, error=None, nested={"a": [1]})).status_code == 201


def test_a_job_without_a_name_is_given_one(http: httpx.Client) -> None:
    names = {http.post("/jobs", json=job_body(job_id=...)).json()["job_id"] for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch(r"job-[0-9a-f]{8}", name) for name in names)


def test_a_body_without_a_content_type_is_taken_as_json(http: httpx.Client) -> None:
    request = http.build_request("POST", "/jobs", content=httpx.Request("POST", "/", json=job_body()).read())
    assert "content-type" not in request.headers
    assert http.send(request).status_code == 201


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "application/vnd.job+json",
        "application/a+b+json",
        "APPLICATION/JSON",
        "",
    ],
)
def test_json_content_types_are_taken(http: httpx.Client, kind: str) -> None:
    body = httpx.Request("POST", "/", json=job_body()).read()
    assert http.post("/jobs", content=body, headers={"content-type": kind}).status_code == 201


def test_a_deleted_jobs_trial_numbers_go_on_under_its_name(api: Api, http: httpx.Client) -> None:
    body = job_body()
    job_id = body["job_id"]
    http.post("/jobs", json=body)
    old = api.run(job_id)
    newest = api.trial(job_id)["trial_number"]
    assert api.delete(job_id).status_code == 200
    for expected in (newest + 1, newest + 2):
        assert http.post("/jobs", json=body).status_code == 201
        assert api.trial(job_id)["trial_number"] == expected
        assert api.report(old).status_code == 400
        assert api.delete(job_id).status_code == 200


def test_deleting_leaves_nothing_of_a_job(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    api.to_bandit(job_id, {8: 1000.0, 16: 900.0, 32: 800.0})
    api.trial(job_id)
    assert api.delete(job_id).json() is None
    for table in ("Job", "BatchSize", "GaussianTsArmState", "Trial"):
        query = f'SELECT count(*) FROM "{table}" WHERE job_id = :job_id'  # noqa: S608  (a constant)
        assert tables.rows(query, job_id=job_id) == [(0,)]
    assert api.delete(job_id).status_code == 404
    assert api.suggest(job_id).status_code == 400
