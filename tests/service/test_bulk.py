"""The calls for schedulers: many items, one transaction, an outcome an item."""

import re
from typing import Any

import httpx
import pytest

from tests.service.talk import Api, report_body


def suggestions(api: Api, job_ids: list[Any]) -> list[dict[str, Any]]:
    """Ask for many trials."""
    answer = api.http.post("/api/v1/suggestions", json={"job_ids": job_ids})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["suggestions"])


def verdicts(api: Api, body: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Send many reports."""
    content = {"content": body} if isinstance(body, str) else {"json": body}
    answer = api.http.post("/api/v1/reports", **content)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["verdicts"])


def transactions(http: httpx.Client) -> int:
    """Return how many transactions the server has made."""
    found = re.search(
        r"^batchbandit_transaction_seconds_count (\S+)$", http.get("/metrics").text, re.MULTILINE
    )
    assert found
    return int(float(found[1]))


def test_each_job_gets_a_trial_in_the_order_of_the_request(api: Api) -> None:
    jobs = [api.register()["job_id"] for _ in range(5)]
    answers = suggestions(api, jobs)
    assert [answer["job_id"] for answer in answers] == jobs
    assert all((answer["batch_size"], answer["trial_number"]) == (16, 1) for answer in answers)


def test_a_job_named_twice_gets_two_trials(api: Api) -> None:
    job_id = api.register()["job_id"]
    assert [answer["trial_number"] for answer in suggestions(api, [job_id] * 3)] == [1, 2, 3]


def test_an_item_that_is_refused_leaves_the_others_alone(api: Api) -> None:
    job_id = api.register()["job_id"]
    good, unknown, wrong, empty = suggestions(api, [job_id, "nobody", 5, ""])
    assert good["trial_number"] == 1
    assert (unknown["status"], unknown["type"]) == (400, "urn:batchbandit:problem:unknown-job")
    assert "nobody" in unknown["message"]
    assert wrong["status"] == empty["status"] == 422
    assert wrong["detail"][0]["loc"] == ["body", "job_id"]
    reports = [
        report_body(good),
        report_body(good, trial_number=9),
        report_body(good, time=-1),
        {"job_id": job_id},
        None,
    ]
    judged, unheard, negative, short, nothing = verdicts(api, {"reports": reports})
    assert judged == {"stop_train": True, "converged": True, "message": "Train succeeded"}
    assert unheard["type"] == "urn:batchbandit:problem:unknown-trial"
    assert negative["detail"][0]["loc"] == ["body", "time"]
    assert short["status"] == nothing["status"] == 422


def test_a_metric_may_be_a_bare_nan(api: Api) -> None:
    trials = suggestions(api, [api.register()["job_id"] for _ in range(2)])
    bodies = ", ".join(
        f'{{"job_id": "{t["job_id"]}", "batch_size": 16, "trial_number": 1, "time": 1, "energy": 2, '
        f'"metric": {metric}, "current_epoch": 1}}'
        for t, metric in zip(trials, ("NaN", "Infinity"), strict=True)
    )
    assert [v["stop_train"] for v in verdicts(api, f'{{"reports": [{bodies}]}}')] == [False, True]


def test_the_same_decisions_as_one_by_one(api: Api) -> None:
    together, apart = (
        [api.register(mab_seed=seed, num_pruning_rounds=1)["job_id"] for seed in range(4)] for _ in range(2)
    )
    for recurrence in range(12):
        trials = suggestions(api, together)
        alone = [api.trial(job_id) for job_id in apart]
        assert [t["batch_size"] for t in trials] == [t["batch_size"] for t in alone]
        energies = [1000.0 * t["batch_size"] + recurrence for t in trials]
        reports = [report_body(t, energy=e) for t, e in zip(trials, energies, strict=True)]
        assert verdicts(api, {"reports": reports}) == [
            api.report(t, energy=e).json() for t, e in zip(alone, energies, strict=True)
        ]


def test_a_thousand_items_are_one_transaction(api: Api, http: httpx.Client) -> None:
    job_ids = [api.register(num_pruning_rounds=0)["job_id"] for _ in range(20)] * 50
    before = transactions(http)
    trials = suggestions(api, job_ids)
    assert transactions(http) == before + 1
    assert len({(t["job_id"], t["trial_number"]) for t in trials}) == 1000
    answers = verdicts(api, {"reports": [report_body(trial) for trial in trials]})
    assert transactions(http) == before + 2
    assert {answer["stop_train"] for answer in answers} == {True}


def test_nothing_asked_for_is_nothing_answered(api: Api) -> None:
    assert suggestions(api, []) == []
    assert verdicts(api, {"reports": []}) == []


@pytest.mark.parametrize(("path", "name"), [("suggestions", "job_ids"), ("reports", "reports")])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"NAME": {}}', "Expected an array"),
        ("{}", "Expected this required member"),
        ("[]", "Expected this required member"),
        ('{"NAME": [', "Expected a JSON object"),
        (f'{{"NAME": [{", ".join(["1"] * 1001)}]}}', "Expected at most 1000 items"),
    ],
)
def test_what_lists_nothing_or_too_much_is_refused_as_a_whole(
    http: httpx.Client, path: str, name: str, content: str, sentence: str
) -> None:
    refused = http.post(f"/api/v1/{path}", content=content.replace("NAME", name))
    assert refused.status_code == 422
    assert sentence in refused.json()["message"]
    assert name in refused.json()["message"] or "JSON" in sentence
