"""A key of one token says nothing to the holder of another."""

from collections.abc import Iterator

import httpx
import pytest

from service.credentials import Role
from tests.service.access.holders import Guarded, client, make_token, until_known
from tests.service.talk import Api, report_body

FORBIDDEN = "urn:batchbandit:problem:forbidden"


@pytest.fixture(scope="module")
def colleague(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client with another token for the jobs of the team."""
    token = make_token(guarded.server.database_url, Role.TRAINER, "team-")
    with client(guarded.server, token) as opened:
        until_known(opened)
        yield opened


def suggest(http: httpx.Client, job_id: str, key: str) -> httpx.Response:
    """Ask for a trial with a key."""
    return http.get("/jobs/batch_size", params={"job_id": job_id}, headers={"Idempotency-Key": key})


def call(http: httpx.Client, path: str, body: object, key: str) -> httpx.Response:
    """Make a bulk call with a key."""
    return http.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": key})


def test_two_tokens_with_one_key_get_a_trial_each(trainer: httpx.Client, colleague: httpx.Client) -> None:
    job_id = Api(trainer).register(job_id="team-keys", job_id_prefix="team")["job_id"]
    holders = (trainer, colleague, trainer, colleague)
    answers = [suggest(http, job_id, "one-key") for http in holders]
    assert [answer.json()["trial_number"] for answer in answers] == [1, 2, 1, 2]


def test_two_tokens_with_one_key_may_ask_for_different_things(
    trainer: httpx.Client, colleague: httpx.Client
) -> None:
    for number, http in enumerate((trainer, colleague)):
        job_id = Api(http).register(job_id=f"team-apart-{number}", job_id_prefix="team")["job_id"]
        assert suggest(http, job_id, "apart").status_code == 200


def test_who_does_not_reach_a_job_gets_no_first_answer_about_it(
    trainer: httpx.Client, operator: httpx.Client, theirs: str
) -> None:
    first = suggest(operator, theirs, "their-key")
    refused = suggest(trainer, theirs, "their-key")
    assert refused.status_code == 403
    assert refused.json()["type"] == FORBIDDEN
    assert suggest(operator, theirs, "their-key").json() == first.json()


def test_in_bulk_too_a_key_is_its_tokens_alone(
    trainer: httpx.Client, operator: httpx.Client, theirs: str
) -> None:
    mine = Api(trainer).register(job_id="team-bulk-keys", job_id_prefix="team")["job_id"]
    body = {"job_ids": [theirs, mine]}
    given = call(operator, "suggestions", body, "bulk-key").json()["suggestions"]
    assert [trial["job_id"] for trial in given] == [theirs, mine]
    for _ in range(2):
        refused, trial = call(trainer, "suggestions", body, "bulk-key").json()["suggestions"]
        assert refused["type"] == FORBIDDEN
        assert (trial["job_id"], trial["trial_number"]) == (mine, 2), "one of its own, once"
    assert call(operator, "suggestions", body, "bulk-key").json()["suggestions"] == given

    reports = {"reports": [report_body(each) for each in given]}
    verdicts = call(operator, "reports", reports, "told-key").json()["verdicts"]
    assert all(verdict["converged"] for verdict in verdicts)
    refused, verdict = call(trainer, "reports", reports, "told-key").json()["verdicts"]
    assert refused["type"] == FORBIDDEN
    assert verdict["converged"], "it is judged anew, and the stored verdict is the same"
