"""How many epochs a training had done: said with each report, kept with the result that it makes."""

from tests.service.api.paths import path_of
from tests.service.tables import Tables
from tests.service.talk import Api


def kept(tables: Tables, job_id: str) -> list[int | None]:
    """Return the epochs of a job's trials."""
    query = 'SELECT epochs FROM "Trial" WHERE job_id = :job_id ORDER BY trial_number'
    return [epochs for (epochs,) in tables.rows(query, job_id=job_id)]


def test_the_epoch_of_the_report_that_ends_a_trial_is_kept_and_shown(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    trial = api.trial(job_id)
    api.report(trial, metric=0.1, current_epoch=2)
    assert kept(tables, job_id) == [None], "it belongs to the result, which there is none of yet"
    assert api.report(trial, current_epoch=3).json()["converged"]
    api.report(trial, current_epoch=4)
    assert kept(tables, job_id) == [3], "a report that comes again changes nothing"
    assert api.http.get(path_of(job_id, "trials", "1")).json()["epochs"] == 3


def test_a_training_without_a_result_has_none(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    trial = api.trial(job_id)
    api.report(trial, metric=0.1, current_epoch=2)
    api.end(trial)
    assert kept(tables, job_id) == [None]


def test_a_late_result_has_its_epochs(api: Api, tables: Tables) -> None:
    job_id = api.register(lease_seconds=1e-9)["job_id"]
    trial = api.trial(job_id)
    api.http.put(path_of(job_id, "trials", "1", "heartbeat"))
    assert "late" in api.report(trial, current_epoch=7).json()["message"]
    assert kept(tables, job_id) == [7]
