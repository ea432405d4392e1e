"""Where the energy of a result was read: said with a report, kept with the result that it makes."""

from typing import Any

import httpx
import pytest

from tests.service.tables import Tables
from tests.service.talk import Api, report_body


def kept(tables: Tables, job_id: str) -> list[str | None]:
    """Return the sources of a job's trials."""
    query = 'SELECT energy_source FROM "Trial" WHERE job_id = :job_id ORDER BY trial_number'
    return [source for (source,) in tables.rows(query, job_id=job_id)]


@pytest.mark.parametrize("source", ["nvml total energy", "x" * 100, "µJ, 読み"])
def test_the_source_of_the_report_that_ends_a_trial_is_kept(api: Api, tables: Tables, source: str) -> None:
    job_id = api.register()["job_id"]
    trial = api.trial(job_id)
    api.report(trial, metric=0.1, energy_source="rapl")
    assert kept(tables, job_id) == [None], "it belongs to the result, which there is none of yet"
    assert api.report(trial, current_epoch=2, energy_source=source).json()["converged"]
    assert kept(tables, job_id) == [source]
    api.report(trial, current_epoch=3, energy_source="another")
    assert kept(tables, job_id) == [source], "a report that comes again changes nothing"


@pytest.mark.parametrize("said", [{}, {"energy_source": None}])
def test_a_report_need_not_say_it(api: Api, tables: Tables, said: dict[str, Any]) -> None:
    job_id = api.register()["job_id"]
    assert api.report(api.trial(job_id), **said).status_code == 200
    assert kept(tables, job_id) == [None]


def test_reports_in_bulk_say_it_too(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=0)["job_id"]
    sources = ["nvml", None, "rapl"]
    reports = [report_body(api.trial(job_id), energy_source=source) for source in sources]
    answer = api.http.post("/api/v1/reports", json={"reports": reports})
    assert [verdict["stop_train"] for verdict in answer.json()["verdicts"]] == [True] * 3
    assert kept(tables, job_id) == sources


@pytest.mark.parametrize("source", ["", "x" * 101, 5, "a\x00b", ["nvml"]])
def test_what_is_no_source_is_refused_and_the_trial_stays_open(
    http: httpx.Client, api: Api, tables: Tables, source: object
) -> None:
    job_id = api.register()["job_id"]
    trial = api.trial(job_id)
    refused = api.report(trial, energy_source=source)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "energy_source"]
    [alone] = http.post(
        "/api/v1/reports", json={"reports": [report_body(trial, energy_source=source)]}
    ).json()["verdicts"]
    assert (alone["status"], alone["detail"]) == (422, refused.json()["detail"])
    status = tables.rows('SELECT status FROM "Trial" WHERE job_id = :job_id', job_id=job_id)
    assert status == [("Dispatched",)]


def test_a_late_result_has_its_source(api: Api, tables: Tables) -> None:
    job_id = api.register(lease_seconds=1e-9)["job_id"]
    trial = api.trial(job_id)
    api.http.put(f"/api/v1/jobs/{job_id}/trials/{trial['trial_number']}/heartbeat")
    assert "late" in api.report(trial, energy_source="nvml").json()["message"]
    assert kept(tables, job_id) == ["nvml"]
