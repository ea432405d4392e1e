"""A token of a prefix reaches the jobs whose name begins with it, and no others."""

from collections.abc import Iterator

import httpx
import pytest

from service.credentials import Role
from tests.service.access.holders import Guarded, client, make_token
from tests.service.tables import Tables
from tests.service.talk import Api, job_body, report_body

FORBIDDEN = "urn:batchbandit:problem:forbidden"


@pytest.fixture(scope="module")
def trainer(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client whose token is for the jobs of a team."""
    token = make_token(guarded.server.database_url, Role.TRAINER, "team-")
    with client(guarded.server, token) as http:
        # The token was made beside the running service, which notices within a second.
        while http.get("/jobs/batch_size").status_code == 401:
            pass
        yield http


@pytest.fixture(scope="module")
def theirs(operator: httpx.Client) -> str:
    """Return a job of others."""
    return str(Api(operator).register(job_id="others-job", job_id_prefix="others")["job_id"])


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


def test_no_other_job_is_trained(trainer: httpx.Client, operator: httpx.Client, theirs: str) -> None:
    trial = Api(operator).trial(theirs)
    api = Api(trainer)
    for answer in (api.suggest(theirs), api.report(trial), api.end(trial)):
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
