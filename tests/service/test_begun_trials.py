"""POST /api/v1/jobs/{job_id}/trials: trainings that could not ask, and report all the same."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.service.tables import Tables
from tests.service.talk import Api


def begin(api: Api, job_id: str, body: object, key: str | None = None) -> httpx.Response:
    """Begin a trial."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.http.post(f"/api/v1/jobs/{quote(job_id, safe='')}/trials", json=body, headers=headers)


def begun(api: Api, job_id: str, batch_size: int) -> dict[str, Any]:
    """Return a trial that has begun."""
    answer = begin(api, job_id, {"batch_size": batch_size})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def row(tables: Tables, trial: dict[str, Any]) -> tuple[Any, ...]:
    """Return the type and the status of a trial."""
    [found] = tables.rows(
        'SELECT type, status FROM "Trial" WHERE job_id = :job_id AND trial_number = :number',
        job_id=trial["job_id"],
        number=trial["trial_number"],
    )
    return found


def test_a_training_begins_at_its_own_batch_size_and_reports(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    trial = begun(api, job_id, 32)
    assert trial == {"job_id": job_id, "batch_size": 32, "trial_number": 1}
    assert row(tables, trial) == ("Concurrent", "Dispatched")
    assert not api.report(trial, metric=0.1).json()["stop_train"]
    verdict = api.report(trial, current_epoch=2).json()
    assert (verdict["stop_train"], verdict["converged"]) == (True, True)
    assert row(tables, trial) == ("Concurrent", "Succeeded")
    assert api.trial(job_id) == {"job_id": job_id, "batch_size": 16, "trial_number": 2}, "the walk begins"


def test_its_result_bounds_others_and_others_bound_it(api: Api) -> None:
    job_id = api.register()["job_id"]
    api.report(begun(api, job_id, 32), energy=100.0, time=1.0)
    for trial in (api.trial(job_id), begun(api, job_id, 8)):
        assert "exceeded the cost upper bound" in api.report(trial).json()["message"]


def test_in_the_bandit_its_arm_learns_from_it(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=0)["job_id"]
    api.trial(job_id)
    trial = begun(api, job_id, 32)
    api.report(trial)
    assert row(tables, trial) == ("Concurrent", "Succeeded")
    arms = 'SELECT batch_size, num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id'
    assert dict(map(tuple, tables.rows(arms, job_id=job_id))) == {8: 0, 16: 0, 32: 1}


def test_a_batch_size_that_is_set_aside_is_taken_and_stays_aside(api: Api) -> None:
    job_id = api.register(max_failures=1)["job_id"]
    api.end(api.trial(job_id) | {"reason": "OutOfMemoryError"})
    assert api.report(begun(api, job_id, 16)).json()["converged"]
    assert api.trial(job_id)["batch_size"] == 32


def test_a_success_ends_a_row_of_failures(api: Api) -> None:
    job_id = api.register(max_failures=2)["job_id"]
    for _ in range(2):
        trial = api.trial(job_id)
        assert trial["batch_size"] == 16
        api.end(trial | {"reason": "OutOfMemoryError"})
        api.report(begun(api, job_id, 16))
    assert api.trial(job_id)["batch_size"] == 16


def test_it_holds_a_lease_and_can_fail(api: Api, tables: Tables) -> None:
    trial = begun(api, api.register(max_failures=1)["job_id"], 16)
    path = f"/api/v1/jobs/{trial['job_id']}/trials/{trial['trial_number']}/heartbeat"
    assert api.http.put(path).json()["lease_seconds"] == 600
    assert api.end(trial | {"reason": "OutOfMemoryError"}).status_code == 200
    assert row(tables, trial) == ("Concurrent", "Failed")
    assert api.trial(trial["job_id"])["batch_size"] == 32, "it counts against its batch size"


@pytest.mark.parametrize("job_id", ["a/b", "as/trials", "a/trials/7/heartbeat", "a/reset", "a?b=c&%2F é"])
def test_names_of_jobs_may_hold_anything_in_a_path(api: Api, job_id: str) -> None:
    registered = api.http.post(
        "/jobs",
        json={
            "job_id": job_id,
            "job_id_prefix": "a",
            "batch_sizes": [8],
            "default_batch_size": 8,
            "max_power": 1,
            "number_of_gpus": 1,
            "gpu_model": "V100",
        },
    )
    assert registered.status_code in {200, 201}
    assert begun(api, job_id, 8)["job_id"] == job_id
    assert api.delete(job_id).status_code == 200


def test_a_call_asked_again_is_the_same_trial(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    key = f"key-of-{job_id}"
    asked = [begin(api, job_id, {"batch_size": 8}, key) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in asked] == [(201, asked[0].content)] * 3
    reused = begin(api, job_id, {"batch_size": 16}, key)
    assert (reused.status_code, reused.json()["type"]) == (422, "urn:batchbandit:problem:key-reused")
    count = tables.rows('SELECT count(*) FROM "Trial" WHERE job_id = :job_id', job_id=job_id)
    assert count == [(1,)]


def test_a_job_that_is_not_registered_has_no_trials(api: Api) -> None:
    answer = begin(api, "nobody", {"batch_size": 8})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:batchbandit:problem:job-not-found")


@pytest.mark.parametrize(
    "body", [{"batch_size": 7}, {"batch_size": 0}, {"batch_size": "8"}, {"batch_size": None}, {}, [8], None]
)
def test_what_is_no_batch_size_of_the_job_is_refused(api: Api, tables: Tables, body: object) -> None:
    job_id = api.register()["job_id"]
    answer = begin(api, job_id, body, "of-a-refusal")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:batchbandit:problem:invalid-request")
    if isinstance(body, dict):
        assert answer.json()["detail"][0]["loc"] == ["body", "batch_size"]
    assert tables.rows('SELECT * FROM "Trial" WHERE job_id = :job_id', job_id=job_id) == []
