"""A token of a prefix reaches the jobs whose name begins with it, and no others."""

import httpx
import pytest

from tests.service.tables import Tables
from tests.service.talk import Api, job_body, report_body

FORBIDDEN = "urn:batchbandit:problem:forbidden"


def test_the_jobs_of_the_prefix_are_trained(trainer: httpx.Client) -> None:
    api = Api(trainer)
    job_id = api.register(job_id="team-a", job_id_prefix="team")["job_id"]
    assert api.run(job_id)["trial_number"] == 1


def test_no_other_job_is_registered(trainer: httpx.Client, kept: Tables) -> None:
    for job_id in ("others-new", "team", "Team-a", "xteam-a"):
        answer = trainer.post("/jobs", json=job_body(job_id=job_id, job_id_prefix=""))
        assert answer.status_code == 403, job_id
        assert answer.json()["type"] == FORBIDDEN
        assert kept.rows('SELECT 1 FROM "Job" WHERE job_id = :job', job=job_id) == []


@pytest.mark.parametrize(("prefix", "status"), [("team", 201), ("team-b", 201), ("tea", 403), ("", 403)])
def test_a_job_without_a_name_is_registered_where_any_name_would_do(
    trainer: httpx.Client, prefix: str, status: int
) -> None:
    answer = trainer.post("/jobs", json=job_body(job_id=..., job_id_prefix=prefix))
    assert answer.status_code == status, answer.text


def test_no_job_begins_with_one_of_another_prefix(trainer: httpx.Client, theirs: str) -> None:
    for source in (theirs, "others-none"):
        body = job_body(
            job_id=f"team-from-{source}", job_id_prefix="team", policy="frugal", warm_start_from=source
        )
        answer = trainer.post("/jobs", json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, FORBIDDEN)


def test_no_other_job_is_trained(trainer: httpx.Client, operator: httpx.Client, theirs: str) -> None:
    trial = Api(operator).trial(theirs)
    api = Api(trainer)
    begun = trainer.post(f"/api/v1/jobs/{theirs}/trials", json={"batch_size": trial["batch_size"]})
    for answer in (api.suggest(theirs), begun, api.report(trial), api.end(trial)):
        assert answer.status_code == 403
        assert answer.json()["type"] == FORBIDDEN
    assert Api(operator).report(trial).status_code == 200, "its trial goes on"


def test_whether_another_job_exists_is_not_told(trainer: httpx.Client, theirs: str) -> None:
    assert Api(trainer).suggest(theirs).json() == Api(trainer).suggest("others-none").json()


def test_of_many_jobs_the_others_are_refused_alone(
    trainer: httpx.Client, operator: httpx.Client, theirs: str
) -> None:
    mine = Api(trainer).register(job_id="team-many", job_id_prefix="team")["job_id"]
    asked = trainer.post("/api/v1/suggestions", json={"job_ids": [theirs, mine, 7, theirs]})
    assert asked.status_code == 200
    other, trial, invalid, again = asked.json()["suggestions"]
    assert (other["type"], again["type"]) == (FORBIDDEN, FORBIDDEN)
    assert (trial["job_id"], trial["trial_number"]) == (mine, 1)
    assert invalid["status"] == 422

    foreign = Api(operator).trial(theirs)
    told = trainer.post("/api/v1/reports", json={"reports": [report_body(foreign), report_body(trial)]})
    refused, verdict = told.json()["verdicts"]
    assert (refused["type"], refused["status"]) == (FORBIDDEN, 403)
    assert verdict["converged"]
    assert Api(operator).report(foreign).json()["message"] == "Train succeeded", "it was not reported before"


def test_a_call_for_other_jobs_alone_is_answered_too(trainer: httpx.Client, theirs: str) -> None:
    [refused] = trainer.post("/api/v1/suggestions", json={"job_ids": [theirs]}).json()["suggestions"]
    assert refused["type"] == FORBIDDEN


def test_a_trainer_deletes_nothing(trainer: httpx.Client, operator: httpx.Client) -> None:
    job_id = Api(trainer).register(job_id="team-kept", job_id_prefix="team")["job_id"]
    assert Api(trainer).delete(job_id).status_code == 403
    assert Api(operator).delete(job_id).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("others-job", 403),
        ("others%2Djob", 403),
        ("others-job/trials/1/heartbeat", 403),
        ("others-job%2Ftrials%2F1%2Fheartbeat", 403),
        ("%2Fteam-", 403),
        ("team-%2F..%2Fothers-job", 404),
        ("team-%2F..%2Fothers-job%2Ftrials%2F1%2Fheartbeat", 404),
    ],
)
def test_no_lease_of_another_job_is_renewed(
    trainer: httpx.Client, operator: httpx.Client, theirs: str, kept: Tables, path: str, status: int
) -> None:
    for job_id in (theirs, f"{theirs}/trials/1/heartbeat"):
        body = job_body(job_id=job_id, job_id_prefix="others")
        assert operator.post("/jobs", json=body).status_code in {200, 201}
    number = Api(operator).trial(theirs)["trial_number"]
    nested = Api(operator).trial(f"{theirs}/trials/1/heartbeat")["trial_number"]

    def leases() -> list[tuple[object, ...]]:
        query = """SELECT job_id, trial_number, lease_expires FROM "Trial" WHERE job_id LIKE 'others-job%'"""
        return sorted(kept.rows(query), key=str)

    before = leases()
    assert len(before) >= 2
    for trial_number in {1, number, nested}:
        answer = trainer.put(f"/api/v1/jobs/{path}/trials/{trial_number}/heartbeat")
        assert answer.status_code == status, answer.text
    assert leases() == before
    beaten = operator.put(f"/api/v1/jobs/{theirs}/trials/{number}/heartbeat")
    assert beaten.status_code == 200, "who may renew it does"
    assert leases() != before


@pytest.mark.parametrize("path", ["others-job", "others%2Djob", "team-%2F..%2Fothers-job", "team-own"])
def test_a_trainer_resets_nothing(trainer: httpx.Client, theirs: str, kept: Tables, path: str) -> None:
    own = job_body(job_id="team-own", job_id_prefix="team")
    assert trainer.post("/jobs", json=own).status_code in {200, 201}

    def jobs() -> list[tuple[object, ...]]:
        return kept.rows("""SELECT * FROM "Job" WHERE job_id IN (:theirs, 'team-own')""", theirs=theirs)

    before = jobs()
    assert len(before) == 2
    assert trainer.post(f"/api/v1/jobs/{path}/reset").status_code == 403
    assert jobs() == before
