"""Trials and decisions, asked over HTTP."""

from typing import Any

import httpx
import pytest

from tests.service.api.paths import path_of
from tests.service.talk import Api

COSTS = {8: 20_000.0, 16: 15_000.0, 32: 18_000.0}


def paged(http: httpx.Client, job_id: str, **query: object) -> list[dict[str, Any]]:
    """Return the trials of a query, page by page of three."""
    found: list[dict[str, Any]] = []
    parameters = {name: str(value) for name, value in query.items()} | {"limit": "3"}
    while True:
        page = http.get(path_of(job_id, "trials"), params=parameters).json()
        found += page["trials"]
        if page["next"] is None:
            return found
        parameters["cursor"] = page["next"]


@pytest.fixture(scope="module")
def job_id(http: httpx.Client) -> str:
    """Return a job with trials of every kind."""
    api = Api(http)
    name = str(api.register()["job_id"])
    api.run(name, energy=15_000.0, time=75.0)
    waiting = api.trial(name)
    api.trial(name)  # a stand-in, which goes on
    api.report(waiting, energy=20_000.0, time=100.0)
    api.end(api.trial(name) | {"reason": "OutOfMemoryError"})
    api.to_bandit(name, {8: 20_000.0, 16: 15_000.0, 32: 18_000.0})
    http.post(path_of(name, "trials"), json={"batch_size": 32})
    return name


@pytest.mark.parametrize(
    "query",
    [{}, {"status": "Failed"}, {"type": "Exploration"}, {"converged": "true"}, {"batch_size": "16"}],
)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_trials_are_listed_by_what_they_are(
    http: httpx.Client, job_id: str, query: dict[str, str], order: str
) -> None:
    every = paged(http, job_id, order="oldest")
    assert [trial["trial_number"] for trial in every] == list(range(1, len(every) + 1))
    expected = [
        trial
        for trial in every
        if all(str(trial[name]).lower() == value.lower() for name, value in query.items())
    ]
    assert len(expected) > 0
    found = paged(http, job_id, order=order, **query)
    assert found == (expected if order == "oldest" else expected[::-1])


def test_a_trial_is_shown_by_itself_and_at_the_costs_of_today(http: httpx.Client, job_id: str) -> None:
    for trial in paged(http, job_id):
        assert http.get(path_of(job_id, "trials", trial["trial_number"])).json() == trial
    first = http.get(path_of(job_id, "trials", 1)).json()
    assert (first["energy"], first["cost"]) == (15_000.0, 0.5 * 15_000.0 + 0.5 * 200.0 * 75.0)
    http.patch(path_of(job_id), json={"eta_knob": 1.0})
    assert http.get(path_of(job_id, "trials", 1)).json()["cost"] == 15_000.0
    http.patch(path_of(job_id), json={"eta_knob": 0.5})


RULES = {
    "default": ["Round 1", "default, batch size 16, the default of the job"],
    "smaller": ["going down", "8 was the next smaller one"],
    "larger": ["going up", "32 was the next larger one"],
    "stand_in": ["exploration that still ran", "batch size 16"],
    "sampled": ["lowest sampled cost", "posterior mean", "next came"],
    "chosen": ["had chosen batch size 32 by itself"],
}


def test_every_trial_says_why_it_has_its_batch_size(http: httpx.Client, job_id: str) -> None:
    told: dict[str, str] = {}
    for trial in paged(http, job_id, order="oldest"):
        decision = http.get(path_of(job_id, "trials", trial["trial_number"], "decision")).json()
        assert (decision["rule"], decision["batch_size"]) == (trial["rule"], trial["batch_size"])
        told.setdefault(decision["rule"], decision["sentence"])
    assert told.keys() == RULES.keys()
    for rule, words in RULES.items():
        for word in words:
            assert word in told[rule]


def test_the_second_round_begins_with_the_cheapest_of_the_first(http: httpx.Client, api: Api) -> None:
    name = api.register()["job_id"]
    costs = {16: 20_000.0, 8: 30_000.0, 32: 10_000.0}
    for _ in costs:
        trial = api.trial(name)
        api.report(trial, energy=costs[trial["batch_size"]])
    again = api.trial(name)
    decision = http.get(path_of(name, "trials", again["trial_number"], "decision")).json()
    assert (decision["round"], decision["rule"], decision["batch_size"]) == (2, "default", 32)
    assert "the cheapest of the round before" in decision["sentence"]


def test_an_arm_with_too_few_results_is_explored_and_says_so(http: httpx.Client, api: Api) -> None:
    name = api.register(num_pruning_rounds=0)["job_id"]
    trial = api.trial(name)
    decision = http.get(path_of(name, "trials", 1, "decision")).json()
    assert decision["rule"] == "unexplored"
    assert f"Batch size {trial['batch_size']} had 0 results" in decision["sentence"]
    assert "until it has 2" in decision["sentence"]
    assert all(arm["deviation"] is None for arm in decision["arms"])


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_paused_job_says_that_it_explores_nothing(http: httpx.Client, api: Api, rounds: int) -> None:
    name = api.register(num_pruning_rounds=rounds)["job_id"]
    http.post(path_of(name, "pause"))
    api.run(name)
    http.post(path_of(name, "resume"))
    api.run(name)
    http.post(path_of(name, "pause"))
    trial = api.trial(name)
    decision = http.get(path_of(name, "trials", trial["trial_number"], "decision")).json()
    assert decision["rule"] == "paused"
    assert decision["sentence"].startswith("The job was paused, so that nothing was explored: batch size")


def test_a_paused_job_whose_default_is_set_aside_says_what_it_does_instead(
    http: httpx.Client, api: Api
) -> None:
    name = api.register(max_failures=1)["job_id"]
    api.end(api.trial(name) | {"reason": "OutOfMemoryError"})
    http.post(path_of(name, "pause"))
    trial = api.trial(name)
    assert trial["batch_size"] == 8
    sentence = http.get(path_of(name, "trials", trial["trial_number"], "decision")).json()["sentence"]
    assert sentence.endswith("before any has converged, the default or else the smallest.")


def test_nothing_costs_minus_zero(http: httpx.Client, api: Api) -> None:
    name = api.register(num_pruning_rounds=0)["job_id"]
    api.trial(name)
    assert '"mean_cost":0.0,' in http.get(path_of(name, "trials", 1, "decision")).text


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("status=failed", "status"),
        ("type=mab", "type"),
        ("batch_size=0", "batch_size"),
        ("batch_size=null", "batch_size"),
        ("batch_size=9999999999999", "batch_size"),
        ("converged=1", "converged"),
        ("converged=True", "converged"),
        ("order=asc", "order"),
        ("sort=job_id", "sort"),
        ("limit=-1", "limit"),
        ("cursor=WyJvbGRlc3QiLDFd", "cursor"),  # of the other order
    ],
)
def test_what_cannot_be_in_a_query_is_refused(
    http: httpx.Client, job_id: str, query: str, place: str
) -> None:
    answer = http.get(f"{path_of(job_id, 'trials')}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["query", place]


@pytest.mark.parametrize("rest", [(), ("trials",), ("trials", 1), ("trials", 1, "decision"), ("export",)])
def test_a_job_that_is_not_there_is_not_found(http: httpx.Client, rest: tuple[str | int, ...]) -> None:
    answer = http.get(path_of("nobody's", *rest))
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:batchbandit:problem:job-not-found"


@pytest.mark.parametrize("rest", [(), ("decision",)])
def test_a_trial_that_is_not_there_is_not_found(
    http: httpx.Client, job_id: str, rest: tuple[str, ...]
) -> None:
    answer = http.get(path_of(job_id, "trials", 999, *rest))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:batchbandit:problem:trial-not-found")


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "2147483648"])
def test_a_number_that_no_trial_has_is_refused(http: httpx.Client, job_id: str, number: str) -> None:
    for rest in ((), ("decision",)):
        assert http.get(path_of(job_id, "trials", number, *rest)).status_code == 422
