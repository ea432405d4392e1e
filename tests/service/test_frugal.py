"""A job of the policy ``frugal`` as the service keeps and shows it."""

from typing import Any

import httpx

from service.store import checking
from service.store.databases import run_beside
from tests.service.api.paths import JOBS, path_of
from tests.service.tables import Tables
from tests.service.talk import Api


def arms(tables: Tables, job_id: str) -> dict[int, int]:
    """Return how many results the arms have by batch size."""
    query = 'SELECT batch_size, num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id'
    return dict(tables.rows(query, job_id=job_id))


def findings(tables: Tables, job_id: str) -> list[object]:
    found: list[object] = []
    checking.check(tables.database_url, found.append)
    return [finding for finding in found if job_id in str(finding)]


def trouble_of(http: httpx.Client, job_id: str) -> str | None:
    """Return what is wrong with a job, which its page in the list says too."""
    shown: dict[str, Any] = http.get(path_of(job_id)).json()
    [listed] = http.get(JOBS, params={"prefix": job_id}).json()["jobs"]
    assert shown["problem"] == listed["problem"]
    stuck = http.get(JOBS, params={"prefix": job_id, "trouble": "stuck"}).json()["jobs"]
    trouble: str | None = (shown["problem"] or {}).get("trouble")
    assert bool(stuck) == (trouble == "stuck")
    return trouble


def test_arms_are_kept_of_what_has_a_result_without_its_results(api: Api, tables: Tables) -> None:
    job_id = api.register(policy="frugal", job_id="frugal-kept", job_id_prefix="")["job_id"]
    assert arms(tables, job_id) == {}
    seen: dict[int, int] = {}
    for _ in range(6):
        size = api.run(job_id)["batch_size"]
        seen[size] = seen.get(size, 0) + 1
        assert arms(tables, job_id) == seen
    assert api.http.patch(path_of(job_id), json={"eta_knob": 0.9}).is_success
    assert arms(tables, job_id) == seen
    for table in ("ArmHistory", "ArmSums"):
        assert not tables.rows(f'SELECT 1 FROM "{table}" WHERE job_id = :job_id', job_id=job_id)  # noqa: S608
    assert findings(tables, job_id) == []
    assert api.http.post(path_of(job_id, "reset")).is_success
    assert arms(tables, job_id) == {}


def test_a_job_of_which_nothing_can_be_read_is_shown_and_starts_over(
    api: Api, http: httpx.Client, tables: Tables
) -> None:
    job_id = api.register(policy="frugal", job_id="frugal-damaged", job_id_prefix="")["job_id"]
    api.run(job_id)
    trial = api.suggest(job_id).json()
    damage = "UPDATE \"Job\" SET knowledge = '{' WHERE job_id = 'frugal-damaged'"
    run_beside(tables.database_url, lambda connection: connection.exec_driver_sql(damage), must_exist=True)
    listed = http.get(JOBS, params={"prefix": job_id})
    shown = http.get(path_of(job_id)).json()
    assert [job["job_id"] for job in listed.json()["jobs"]] == [job_id]
    assert shown["best_batch_size"] is None
    assert "cannot be read" in shown["problem"]["sentence"]
    assert http.get("/job", params={"id": job_id}).is_success
    for refused in (api.suggest(job_id), api.report(trial), http.patch("/trials", json=trial)):
        assert refused.status_code == 409
        assert refused.json()["type"].endswith(":knowledge-unreadable")
    assert http.post(path_of(job_id, "reset")).is_success
    assert api.suggest(job_id).json()["batch_size"] == shown["default_batch_size"]


def test_a_job_nothing_of_which_converges_is_stuck_until_it_starts_over(api: Api, http: httpx.Client) -> None:
    job_id = api.register(policy="frugal", job_id="frugal-stuck", job_id_prefix="")["job_id"]
    for size in (8, 16, 32, 8, 16, 32):
        assert trouble_of(http, job_id) is None
        trial = http.post(path_of(job_id, "trials"), json={"batch_size": size}).json()
        assert api.report(trial, metric=0.1, current_epoch=10).json()["stop_train"]
    assert api.suggest(job_id).status_code == 409
    assert trouble_of(http, job_id) == "stuck"
    assert http.get("/job", params={"id": job_id}).is_success
    assert http.post(path_of(job_id, "pause")).is_success
    assert trouble_of(http, job_id) is None
    assert api.suggest(job_id).is_success
    assert http.post(path_of(job_id, "resume")).is_success
    assert http.post(path_of(job_id, "reset")).is_success
    assert trouble_of(http, job_id) is None
    assert api.suggest(job_id).is_success
