"""The list of jobs and a job whole, asked over HTTP."""

from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pytest

from core.records import Policy, Stage
from service.views.jobs import Sort
from service.views.shapes import Activity, Trouble
from tests.service.api.paths import JOBS, path_of
from tests.service.tables import Tables
from tests.service.talk import Api

COSTS = {8: 20_000.0, 16: 15_000.0, 32: 18_000.0}


def listed(http: httpx.Client, **query: object) -> list[dict[str, Any]]:
    """Return the jobs of a query, page by page of two."""
    found: list[dict[str, Any]] = []
    parameters = {name: str(value) for name, value in query.items()} | {"limit": "2"}
    while True:
        answer = http.get(JOBS, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["jobs"]
        if page["next"] is None:
            return found
        parameters["cursor"] = page["next"]


@pytest.fixture(scope="module")
def population(http: httpx.Client) -> dict[str, str]:
    """Return the names of jobs of every kind, all of which begin with ``kinds-``."""
    api = Api(http)
    kinds = ("bandit", "fresh", "stuck", "failing", "paused", "running")
    named = {kind: api.register(job_id=f"kinds-{kind}", job_id_prefix="kinds")["job_id"] for kind in kinds}
    api.to_bandit(named["bandit"], COSTS)
    last = api.trial(named["bandit"])
    api.report(last, energy=COSTS[last["batch_size"]], time=COSTS[last["batch_size"]] / 200)
    for _ in range(2):
        api.run(named["stuck"], metric=0.1, current_epoch=10)
    for _ in range(3):
        api.end(api.trial(named["failing"]) | {"reason": "OutOfMemoryError"})
    api.run(named["paused"])
    assert http.post(path_of(named["paused"], "pause")).status_code == 200
    api.trial(named["running"])
    return named


KINDS = [
    ({}, {"bandit", "fresh", "stuck", "failing", "paused", "running"}),
    ({"stage": "MAB"}, {"bandit"}),
    ({"policy": "zeus", "stage": "Pruning"}, {"fresh", "stuck", "failing", "paused", "running"}),
    ({"activity": "paused"}, {"paused"}),
    ({"activity": "running"}, {"running"}),
    ({"activity": "idle"}, {"bandit", "fresh", "stuck", "failing"}),
    ({"trouble": "stuck"}, {"stuck"}),
    ({"trouble": "failing"}, {"failing"}),
    ({"trouble": "failing", "stage": "MAB"}, set()),
]


@pytest.mark.parametrize(("query", "kinds"), KINDS)
def test_jobs_are_listed_by_what_they_are(
    http: httpx.Client, population: dict[str, str], query: dict[str, str], kinds: set[str]
) -> None:
    found = listed(http, prefix="kinds-", **query)
    assert [job["job_id"] for job in found] == sorted(population[kind] for kind in kinds)


@pytest.mark.parametrize("sort", Sort)
def test_each_job_is_listed_once_in_every_order(
    http: httpx.Client, population: dict[str, str], sort: Sort
) -> None:
    names = [job["job_id"] for job in listed(http, prefix="kinds-", sort=sort.value)]
    assert sorted(names) == sorted(population.values())
    first = {"savings": "paused", "trials": "bandit", "last_activity": "running", "job_id": "stuck"}
    if sort.value.startswith("-"):
        assert names[0] == population[first[sort.value[1:]]]


def test_a_job_whole_says_what_the_list_says(http: httpx.Client, population: dict[str, str]) -> None:
    for summary in listed(http, prefix="kinds-"):
        whole = http.get(path_of(summary["job_id"])).json()
        for name in summary.keys() - {"savings"}:
            assert whole[name] == summary[name]
        assert (whole["savings"] is None) == (summary["savings"] is None)
    assert len(population) == 6


def test_a_job_in_the_bandit_is_shown_whole(
    http: httpx.Client, population: dict[str, str], tables: Tables
) -> None:
    job = http.get(path_of(population["bandit"])).json()
    assert (job["stage"], job["round"], job["best_batch_size"]) == ("MAB", None, 16)
    assert job["specification"]["batch_sizes"] == [8, 16, 32]
    arms = tables.rows(
        'SELECT batch_size, param_mean, num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id '
        "ORDER BY batch_size",
        job_id=population["bandit"],
    )
    shown = job["batch_sizes"]
    assert [(one["batch_size"], -one["mean_cost"], one["num_observations"]) for one in shown] == arms
    assert {one["state"] for one in shown} == {"arm"}
    assert sum(one["share"] for one in shown) == pytest.approx(1)
    assert sum(one["probability_best"] for one in shown) == pytest.approx(1)
    assert job["probability_best"] == max(one["probability_best"] for one in shown)
    for one in shown:
        low, high = one["interval"]
        assert low <= one["mean_cost"] <= high
        assert one["mean_energy"] == COSTS[one["batch_size"]]


def test_savings_are_told_with_their_figures(http: httpx.Client, population: dict[str, str]) -> None:
    path = path_of(population["bandit"])
    saved, trials = (http.get(path).json()["savings"], http.get(f"{path}/trials").json()["trials"])
    spent = sum(trial["energy"] for trial in trials)
    # Seven trainings converged; at the default batch size each took 15 kJ and 75 s.
    assert (saved["default_energy"], saved["default_time"]) == (15_000.0, 75.0)
    assert saved["num_default"] == sum(trial["batch_size"] == 16 for trial in trials)
    assert saved["energy"] == pytest.approx(7 * 15_000.0 - spent)
    assert saved["time"] == pytest.approx(7 * 75.0 - spent / 200)
    assert saved["cost"] == pytest.approx(7 * 15_000.0 - spent)
    for words in ("7 trainings converged", "batch size 16", "15.0 kJ", "1 min 15 s", "eta_knob 0.5"):
        assert words in saved["how"]


def test_a_walk_is_shown_as_it_stands(http: httpx.Client, api: Api) -> None:
    job_id = api.register(batch_sizes=[8, 16, 32, 64], default_batch_size=16)["job_id"]

    def states() -> tuple[dict[str, int], dict[int, str]]:
        job = http.get(path_of(job_id)).json()
        return job["round"], {one["batch_size"]: one["state"] for one in job["batch_sizes"]}

    assert states() == ({"number": 1, "of": 2}, dict.fromkeys((8, 16, 32, 64), "walk"))
    api.run(job_id)
    api.run(job_id, metric=0.1, current_epoch=10)  # 8
    assert states()[1] == {8: "pruned", 16: "walk", 32: "walk", 64: "walk"}
    api.run(job_id, energy=10_000.0)  # 32
    for _ in range(3):
        api.end(api.trial(job_id))  # 64
    assert states()[1] == {8: "pruned", 16: "walk", 32: "walk", 64: "set_aside"}
    assert api.trial(job_id)["batch_size"] == 32
    assert states() == (
        {"number": 2, "of": 2},
        {8: "pruned", 16: "walk", 32: "walk", 64: "set_aside"},
    )


@pytest.mark.parametrize(
    ("kind", "trouble", "words"),
    [
        ("stuck", "stuck", ["pruning round 1", "target_metric", "/api/v1/jobs/kinds-stuck/reset"]),
        ("failing", "failing", ["16 (OutOfMemoryError)", "3 failures", "/api/v1/jobs/kinds-failing/reset"]),
    ],
)
def test_a_problem_names_what_is_wrong_and_what_to_do(
    http: httpx.Client, population: dict[str, str], kind: str, trouble: str, words: list[str]
) -> None:
    problem = http.get(path_of(population[kind])).json()["problem"]
    assert problem["trouble"] == trouble
    for word in words:
        assert word in problem["sentence"]


def test_a_job_all_of_whose_batch_sizes_fail_is_stuck(http: httpx.Client, api: Api) -> None:
    job_id = api.register(job_id_prefix="job", max_failures=1, batch_sizes=[8], default_batch_size=8)[
        "job_id"
    ]
    api.end(api.trial(job_id) | {"reason": "OutOfMemoryError"})
    problem = http.get(path_of(job_id)).json()["problem"]
    assert problem["trouble"] == "stuck"
    assert problem["sentence"] == api.suggest(job_id).json()["message"]
    assert job_id in {job["job_id"] for job in listed(http, trouble="stuck")}


def test_terms_that_were_changed_are_shown_beside_those_registered(http: httpx.Client, api: Api) -> None:
    job_id = api.register()["job_id"]
    assert http.patch(path_of(job_id), json={"eta_knob": 0.9}).status_code == 200
    job = http.get(path_of(job_id)).json()
    assert (job["specification"]["eta_knob"], job["registered"]) == (0.9, {"eta_knob": 0.5})


ALLOWED = {
    "stage": [stage.value for stage in Stage],
    "policy": [policy.value for policy in Policy],
    "activity": [activity.value for activity in Activity],
    "trouble": [trouble.value for trouble in Trouble],
    "sort": [sort.value for sort in Sort],
}


@pytest.mark.parametrize("value", ["", "nothing", "null", "MAB,Pruning"])
@pytest.mark.parametrize("name", ALLOWED)
def test_a_value_that_is_none_is_refused_with_those_there_are(
    http: httpx.Client, name: str, value: str
) -> None:
    answer = http.get(JOBS, params={name: value})
    assert answer.status_code == 422
    [flaw] = answer.json()["detail"]
    assert flaw["loc"] == ["query", name]
    for word in ALLOWED[name]:
        assert word in flaw["msg"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("prefix=%00", "prefix"),
        (f"prefix={'x' * 401}", "prefix"),
        ("stages=MAB", "stages"),
        ("job_id=x", "job_id"),
        ("%FF=x", "�"),
    ],
)
def test_what_cannot_be_in_a_query_is_refused(http: httpx.Client, query: str, place: str) -> None:
    answer = http.get(f"{JOBS}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["query", place]


def test_a_parameter_that_is_unknown_is_refused_with_those_there_are(http: httpx.Client) -> None:
    for name in ("prefix", "stage", "policy", "activity", "trouble", "sort", "limit", "cursor"):
        assert name in http.get(JOBS, params={"colour": "red"}).json()["message"]


def test_a_call_that_takes_no_parameter_refuses_them(http: httpx.Client, api: Api) -> None:
    job_id = api.register()["job_id"]
    api.trial(job_id)
    for rest in ((), ("trials", 1), ("trials", 1, "decision")):
        assert http.get(path_of(job_id, *rest)).status_code == 200
        answer = http.get(path_of(job_id, *rest), params={"x": "1"})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "x"])


NESTED = b"[" * 2900


@pytest.mark.parametrize(
    ("sort", "place"),
    [
        ("job_id", b'["job_id",null,"x",' + NESTED),
        ("job_id", b'["job_id",null,"\\ud800"]'),
        ("job_id", b'["job_id","x","x"]'),
        ("trials", b'["trials",2147483648,"x"]'),
        ("trials", b'["trials",null,"x"]'),
        ("savings", b'["savings",1e400,"x"]'),
        ("last_activity", b'["last_activity","2026-01-01T00:00:00","x"]'),
    ],
)
def test_a_cursor_that_the_service_has_not_made_is_refused(
    http: httpx.Client, sort: str, place: bytes
) -> None:
    cursor = urlsafe_b64encode(place).decode().rstrip("=")
    answer = http.get(JOBS, params={"sort": sort, "cursor": cursor})
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "value_error.cursor")


def test_a_cursor_of_another_order_is_refused(http: httpx.Client, population: dict[str, str]) -> None:
    cursor = http.get(JOBS, params={"limit": 1, "sort": "-savings"}).json()["next"]
    answer = http.get(JOBS, params={"limit": 1, "sort": "-trials", "cursor": cursor})
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "value_error.cursor")
    assert population
