"""Jobs of the policy ``frugal`` over HTTP: many at once, killed, on replicas, damaged, begun warm, copied."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from benchmarks.server import Server, running_server, start, stop
from service.store import checking, schema
from service.store.databases import run_beside
from tests.service.api.paths import path_of
from tests.service.listening import listening
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api, report_body
from tests.service.test_backup import db
from tests.service.test_frugal import findings
from tests.service.wires import figure

COSTS = {8: 300.0, 16: 200.0, 32: 150.0, 64: 250.0}
EPOCHS = 3
"""In which a training reaches its target."""
SPECIFICATION: dict[str, Any] = {"policy": "frugal", "eta_knob": 1.0, "batch_sizes": [*COSTS]}


@contextmanager
def client(url: str) -> Iterator[Api]:
    """Return the calls of a training job to a service."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        yield Api(http)


def told(trial: dict[str, Any], epoch: int, cost: float) -> dict[str, Any]:
    """Return what a training reports at the end of an epoch."""
    share = epoch / EPOCHS
    said = {"time": 10.0 * epoch, "energy": cost * share, "metric": 0.5 * share, "current_epoch": epoch}
    return report_body(trial, **said)


def recur(
    api: Api, job_id: str, costs: dict[int, float] | None = None, *, pause: Callable[[], None] = lambda: None
) -> list[Any]:
    """Train once; return the batch size and all verdicts. Between any two calls there may be a pause."""
    trial = api.trial(job_id)
    seen: list[Any] = [trial["batch_size"]]
    for epoch in range(1, EPOCHS + 1):
        pause()
        answer = api.http.post("/report", json=told(trial, epoch, (costs or COSTS)[trial["batch_size"]]))
        assert answer.status_code == 200, answer.text
        seen.append(answer.json())
        if seen[-1]["stop_train"]:
            break
    pause()
    assert api.end(trial).status_code == 200
    return seen


def known(tables: Tables, job_id: str) -> dict[str, Any]:
    """Return what is known of a job."""
    [(text,)] = tables.rows('SELECT knowledge FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    knowledge: dict[str, Any] = json.loads(text)
    return knowledge


def assert_sound(tables: Tables, job_id: str, trials: int) -> None:
    """Hold what is kept of a job none of whose trainings run against its trials."""
    numbers = [
        number
        for (number,) in tables.rows(
            'SELECT trial_number FROM "Trial" WHERE job_id = :job_id ORDER BY trial_number', job_id=job_id
        )
    ]
    assert numbers == list(range(1, trials + 1))
    knowledge = known(tables, job_id)
    assert "running" not in knowledge or knowledge["running"] == {}
    assert sum(seen[-1] for seen in knowledge["seen"].values()) == trials
    assert findings(tables, job_id) == []


def train_at_once(urls: Sequence[str], job_id: str, trainings: int, times: int) -> list[int]:
    """Let trainings run side by side, each again and again; return all their batch sizes."""

    def train(number: int) -> list[int]:
        with client(urls[number % len(urls)]) as api:
            return [recur(api, job_id)[0] for _ in range(times)]

    with ThreadPoolExecutor(trainings) as pool:
        return [size for sizes in pool.map(train, range(trainings)) for size in sizes]


def test_sixteen_trainings_at_once(server: Server, api: Api, tables: Tables) -> None:
    job_id = api.register(job_id="frugal-sixteen", job_id_prefix="", **SPECIFICATION)["job_id"]
    sizes = train_at_once([server.url], job_id, 16, 5)
    assert_sound(tables, job_id, 80)
    assert len(set(sizes)) > 2, "they spread"
    assert known(tables, job_id)["leader"][0] == 32


def test_two_replicas_on_one_database(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    with running_server(url) as one, running_server(url) as other, open_tables(url) as tables:
        with client(one.url) as api, client(other.url) as beside:
            for job_id in ("by-one", "by-turns", "at-once"):
                api.register(job_id=job_id, job_id_prefix="", **SPECIFICATION)
            by_one = [recur(api, "by-one") for _ in range(8)]
            by_turns = [recur((api, beside)[number % 2], "by-turns") for number in range(8)]
        assert by_one == by_turns
        train_at_once([one.url, other.url], "at-once", 8, 4)
        assert_sound(tables, "by-turns", 8)
        assert_sound(tables, "at-once", 32)


def test_a_service_that_is_killed_goes_on_where_it_was(server_url: str, tmp_path: Path) -> None:
    servers = [start(tmp_path, server_url)]
    costs = COSTS | {16: 152.0}  # so that it is drawn between two to the end
    pauses = itertools.count(1)

    def kill_now_and_then() -> None:
        if next(pauses) in {6, 17}:  # in a training, and before the end of one
            servers[-1].process.kill()
            servers[-1].process.wait()
            servers.append(start(tmp_path, server_url))
            api.http.base_url = httpx.URL(servers[-1].url)

    try:
        with client(servers[-1].url) as api, open_tables(server_url) as tables:
            for job_id in ("spared", "killed"):
                api.register(job_id=job_id, job_id_prefix="", **SPECIFICATION)
            spared = [recur(api, "spared", costs) for _ in range(10)]
            killed = [recur(api, "killed", costs, pause=kill_now_and_then) for _ in range(10)]
            assert killed == spared
            assert len({size for size, *_ in spared[5:]}) > 1
            assert_sound(tables, "killed", 10)
            state = 'SELECT mab_random_generator_state, knowledge, min_cost FROM "Job" WHERE job_id = :job_id'
            assert tables.rows(state, job_id="killed") == tables.rows(state, job_id="spared")
        assert len(servers) == 3
    finally:
        stop(servers[-1])


def test_a_suggestion_asked_again_is_known_to_run_once(api: Api, tables: Tables) -> None:
    job_id = api.register(**SPECIFICATION)["job_id"]
    recur(api, job_id)
    key = {"Idempotency-Key": "frugal-once"}
    asked = [api.http.get("/jobs/batch_size", params={"job_id": job_id}, headers=key) for _ in range(3)]
    assert len({answer.content for answer in asked}) == 1
    assert known(tables, job_id)["running"] == {"2": asked[0].json()["batch_size"]}
    assert findings(tables, job_id) == []


def test_a_drift_is_told_and_counted(server: Server, api: Api, tables: Tables) -> None:
    job_id = api.register(**SPECIFICATION)["job_id"]
    for _ in range(12):
        recur(api, job_id)
    before = figure(server, "batchbandit_drifts_total")
    dear = {size: 4 * cost for size, cost in COSTS.items()}
    with listening(server.url) as stream:
        while not (shown := api.http.get(path_of(job_id)).json())["num_drifts"]:
            trial = api.trial(job_id)
            api.http.post("/report", json=told(trial, EPOCHS, dear[trial["batch_size"]]))
            assert trial["trial_number"] < 30
        events = stream.told(2 * (trial["trial_number"] - 12) + 1)
    assert shown["num_drifts"] == 1
    [event] = [event.happening for event in events if event.kind == "drift_detected"]
    assert event.job_id == job_id
    assert event.detail["trial_number"] == trial["trial_number"]
    assert event.detail["seen_cost"] == dear[trial["batch_size"]]
    assert event.detail["expected_cost"] == pytest.approx(COSTS[trial["batch_size"]], rel=0.1)
    assert figure(server, "batchbandit_drifts_total") == before + 1
    assert findings(tables, job_id) == []


DECLINING = dict(
    zip((8, 16, 32, 64, 128, 256, 512, 1024), (220, 200, 180, 160, 158, 156, 154, 152), strict=True)
)
MANY = SPECIFICATION | {"batch_sizes": [*DECLINING], "default_batch_size": 128}


def source(api: Api, policy: str, **changes: object) -> str:
    """Return the name of a job that has shown what each batch size costs."""
    specification = MANY | {"policy": policy, "beta_knob": None} | changes
    job_id = str(api.register(**specification)["job_id"])
    for size in DECLINING:
        trial = api.http.post(path_of(job_id, "trials"), json={"batch_size": size}).json()
        assert api.http.post("/report", json=told(trial, EPOCHS, DECLINING[size])).json()["converged"]
    return job_id


def chosen(api: Api, **changes: object) -> list[int]:
    """Return what a new job chooses."""
    job_id = api.register(**MANY | changes)["job_id"]
    return [recur(api, job_id, {size: float(cost) for size, cost in DECLINING.items()})[0] for _ in range(8)]


@pytest.mark.parametrize("policy", ["frugal", "zeus"])
def test_a_job_begins_with_what_others_have_shown(api: Api, policy: str) -> None:
    prefix = f"warm-by-{policy}"
    named = source(api, policy, job_id=f"{prefix}-source", job_id_prefix=prefix)
    cold = chosen(api)
    warm = chosen(api, warm_start_from=named)
    alike = chosen(api, warm_start_from="*", job_id=f"{prefix}-other", job_id_prefix=prefix)
    assert warm == alike
    assert sum(DECLINING[size] for size in warm) < sum(DECLINING[size] for size in cold)


def test_a_source_that_is_gone_changes_nothing_any_more(api: Api, tables: Tables) -> None:
    named = source(api, "frugal")
    jobs = [api.register(**MANY, warm_start_from=named)["job_id"] for _ in range(2)]
    costs = {size: float(cost) for size, cost in DECLINING.items()}
    kept = [recur(api, jobs[0], costs) for _ in range(8)]
    assert api.delete(named).status_code == 200
    assert [recur(api, jobs[1], costs) for _ in range(8)] == kept
    assert api.http.get(path_of(jobs[1])).json()["specification"]["warm_start_from"] == named
    assert findings(tables, jobs[1]) == []


def keep(database_url: str, job_id: str, knowledge: str | None) -> None:
    """Let something else be known of a job."""
    job = schema.job
    change = sa.update(job).where(job.c.job_id == job_id).values(knowledge=knowledge)
    run_beside(database_url, lambda connection: connection.execute(change))


@pytest.mark.parametrize("damage", [None, "{}", "cut"])
def test_damaged_knowledge_is_found_and_costs_nothing_else(
    server: Server, api: Api, tables: Tables, damage: str | None
) -> None:
    job_id, other = (api.register(**SPECIFICATION)["job_id"] for _ in range(2))
    for _ in range(3):
        recur(api, job_id)
    trial = api.trial(job_id)
    [(text,)] = tables.rows('SELECT knowledge FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    keep(server.database_url, job_id, text[: len(text) // 2] if damage == "cut" else damage)
    assert any("what is known of it cannot be read" in str(finding) for finding in findings(tables, job_id))
    before = tables.contents()
    for refused in (
        api.suggest(job_id),
        api.report(trial),
        api.end(trial),
        api.http.post(path_of(job_id, "reset")),
        api.http.patch(path_of(job_id), json={"eta_knob": 0.5}),
    ):
        assert refused.status_code == 500, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["message"]
    assert tables.contents() == before
    answers = api.http.post("/api/v1/suggestions", json={"job_ids": [job_id, other]}).json()["suggestions"]
    assert [answer.get("status") for answer in answers] == [500, None], "another job is none the worse for it"
    keep(server.database_url, job_id, text)
    assert api.report(trial).json()["converged"]
    recur(api, job_id)
    assert findings(tables, job_id) == []


def test_a_job_is_exported_and_deleted(api: Api, tables: Tables) -> None:
    job_id = api.register(**SPECIFICATION)["job_id"]
    sizes = [recur(api, job_id)[0] for _ in range(6)]
    lines = api.http.get(path_of(job_id, "export"), params={"format": "jsonl"}).text.splitlines()
    assert [json.loads(line)["batch_size"] for line in lines] == sizes
    assert api.delete(job_id).status_code == 200
    assert api.suggest(job_id).status_code == 400
    assert not [rows for name, rows in tables.contents().items() if name == "Job" and job_id in rows]
    assert api.register(job_id=job_id, **SPECIFICATION)["job_id"] == job_id
    assert "seen" not in known(tables, job_id)
    assert api.trial(job_id)["trial_number"] == 7
    assert findings(tables, job_id) == []


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_copy_decides_as_the_original_does(server: Server, api: Api, tmp_path: Path) -> None:
    job_id = api.register(**SPECIFICATION)["job_id"]
    for _ in range(4):
        recur(api, job_id)
    copy = tmp_path / "copy.db"
    assert db("backup", server.database_url, copy).returncode == 0
    again = start(tmp_path, f"sqlite+aiosqlite:///{copy}")
    try:
        with client(again.url) as other:
            copied = [recur(other, job_id) for _ in range(6)]
    finally:
        stop(again)
    assert copied == [recur(api, job_id) for _ in range(6)]
    found: list[object] = []
    checking.check(f"sqlite+aiosqlite:///{copy}", found.append)
    assert found == []
