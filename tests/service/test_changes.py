"""Jobs that are changed or paused while they run, and what is kept of their decisions."""

from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from core.rationale import Rationale, Rule
from tests.service.tables import Tables
from tests.service.talk import Api, job_body


def path(job_id: str) -> str:
    return f"/api/v1/jobs/{quote(job_id, safe='')}"


def changed(api: Api, job_id: str, **terms: object) -> httpx.Response:
    return api.http.patch(path(job_id), json=terms)


def in_bandit(api: Api, **changes: object) -> str:
    """Return a job of which every arm has three results; the larger, the more energy and the less time."""
    job_id: str = api.register(num_pruning_rounds=0, beta_knob=None, **changes)["job_id"]
    for _ in range(12):
        trial = api.trial(job_id)
        api.report(trial, energy=1000.0 * trial["batch_size"], time=2000.0 / trial["batch_size"])
    return job_id


def rationale(tables: Tables, trial: dict[str, Any]) -> Rationale:
    """Return what is kept with a trial."""
    [(text,)] = tables.rows(
        'SELECT rationale FROM "Trial" WHERE job_id = :job_id AND trial_number = :number',
        job_id=trial["job_id"],
        number=trial["trial_number"],
    )
    return msgspec.json.decode(text, type=Rationale)


def events(tables: Tables, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what has happened to a job, in its order: kinds and details."""
    rows = tables.rows(
        'SELECT kind, detail FROM "Event" WHERE job_id = :job_id ORDER BY event_id', job_id=job_id
    )
    return [(kind, msgspec.json.decode(detail)) for kind, detail in rows]


def test_a_changed_job_answers_its_terms_and_an_unchanged_script_stays_welcome(api: Api) -> None:
    body = job_body()
    assert api.http.post("/jobs", json=body).status_code == 201
    answer = changed(api, body["job_id"], eta_knob=0.25, beta_knob=None, window_size=9, max_epochs=3)
    assert answer.status_code == 200
    terms = {"eta_knob": 0.25, "beta_knob": None, "window_size": 9, "max_epochs": 3}
    assert terms.items() <= answer.json().items()
    again = api.http.post("/jobs", json=body)
    assert (again.status_code, again.json()) == (200, answer.json()), "what is in force is told"
    other = api.http.post("/jobs", json=body | {"eta_knob": 0.25})
    assert other.status_code == 409, "the registered specification is the one that counts"


def test_another_eta_costs_anew_what_was_measured(api: Api, tables: Tables) -> None:
    job_id = in_bandit(api)
    for eta in (1.0, 0.0, 0.5):
        assert changed(api, job_id, eta_knob=eta).status_code == 200
        arms = tables.rows(
            'SELECT batch_size, param_mean FROM "GaussianTsArmState" WHERE job_id = :job_id', job_id=job_id
        )
        assert dict(arms) == {
            size: pytest.approx(-(eta * 1000.0 * size + (1 - eta) * 200.0 * 2000.0 / size))
            for size in (8, 16, 32)
        }
        [(lowest, cheapest)] = tables.rows(
            'SELECT min_cost, min_cost_batch_size FROM "Job" WHERE job_id = :job_id', job_id=job_id
        )
        cost, size = min((-mean, size) for size, mean in arms)
        assert (lowest, cheapest) == (pytest.approx(cost), size)


def test_a_bound_that_is_lifted_holds_no_more(api: Api) -> None:
    job_id = api.register()["job_id"]
    api.report(api.trial(job_id))
    dear = api.trial(job_id)
    assert "exceeded" in api.report(dear, energy=1e6, metric=0.0).json()["message"]
    changed(api, job_id, beta_knob=None)
    assert not api.report(api.trial(job_id), energy=1e6, metric=0.0).json()["stop_train"]


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ({"eta_knob": 1.5}, "eta_knob"),
        ({"beta_knob": 0}, "beta_knob"),
        ({"window_size": 0.5}, "window_size"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"max_power": 100.0}, "max_power"),
        ({"batch_sizes": [8]}, "batch_sizes"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    api: Api, tables: Tables, terms: dict[str, object], place: str
) -> None:
    job_id = api.register()["job_id"]
    before = tables.contents()
    answer = changed(api, job_id, **terms)
    assert answer.status_code == 422
    assert place in answer.text
    assert tables.contents() == before


def test_an_eta_under_which_a_result_costs_nothing_is_refused(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=0)["job_id"]
    api.report(api.trial(job_id), energy=0.0)
    before = tables.contents()
    answer = changed(api, job_id, eta_knob=1.0, max_epochs=5)
    assert answer.status_code == 422
    assert "below 1" in answer.json()["message"]
    assert tables.contents() == before


def test_of_a_job_that_is_not_there_nothing_can_be_changed(api: Api) -> None:
    assert changed(api, "nobody", eta_knob=0.1).status_code == 404
    for call in ("pause", "resume"):
        assert api.http.post(f"{path('nobody')}/{call}").status_code == 404


def test_a_paused_job_trains_its_best_batch_size_until_it_is_resumed(api: Api, tables: Tables) -> None:
    job_id = in_bandit(api, eta_knob=1.0)
    paused = api.http.post(f"{path(job_id)}/pause")
    assert (paused.status_code, paused.json()) == (200, {"job_id": job_id, "is_paused": True})
    trials = [api.trial(job_id) for _ in range(5)]
    assert {trial["batch_size"] for trial in trials} == {8}
    assert rationale(tables, trials[0]).rule is Rule.PAUSED
    api.report(trials[0])
    assert api.http.post(f"{path(job_id)}/resume").json() == {"job_id": job_id, "is_paused": False}
    assert rationale(tables, api.trial(job_id)).rule is Rule.SAMPLED


def test_pausing_and_changing_are_recorded_once_each(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    for call in ("pause", "pause", "resume"):
        api.http.post(f"{path(job_id)}/{call}")
    for _ in range(2):
        changed(api, job_id, max_epochs=7)
    actions = tables.rows(
        'SELECT action FROM "AuditEvent" WHERE subject = :job_id ORDER BY event_id', job_id=job_id
    )
    assert [action for (action,) in actions] == ["register job", "pause job", "resume job", "change job"]
    kinds = events(tables, job_id)
    assert [kind for kind, _ in kinds] == ["job_registered", "job_paused", "job_resumed", "job_changed"]
    assert kinds[-1][1] == {"max_epochs": 7}


def test_each_trial_keeps_why_it_has_its_batch_size(api: Api, tables: Tables) -> None:
    job_id = api.register(beta_knob=None)["job_id"]
    rules = []
    for _ in range(20):
        trial = api.trial(job_id)
        why = rationale(tables, trial)
        rules.append((why.rule, why.round))
        if why.arms:
            assert [arm.batch_size for arm in why.arms] == [8, 16, 32]
        if why.rule is Rule.SAMPLED:
            samples = {arm.batch_size: arm.sample for arm in why.arms if arm.sample is not None}
            assert trial["batch_size"] == max(samples, key=lambda size: samples[size])
        api.report(trial, energy=20_000.0 + len(rules))
    walked = [(Rule.DEFAULT, n) for n in (1,)] + [(Rule.SMALLER, 1), (Rule.LARGER, 1)]
    assert rules[:3] == walked
    assert {number for _, number in rules[3:6]} == {2}
    assert {rule for rule, _ in rules[6:]} <= {Rule.SAMPLED, Rule.UNEXPLORED}
    assert rules[-1] == (Rule.SAMPLED, None)


def test_who_asks_while_an_exploration_runs_stands_in(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    api.trial(job_id)
    assert rationale(tables, api.trial(job_id)) == Rationale("Pruning", Rule.STAND_IN, 1)  # type: ignore[arg-type]


def test_what_happens_is_told_in_order(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=1, max_failures=1)["job_id"]
    first = api.trial(job_id)
    api.report(first)
    second = api.trial(job_id)
    api.http.patch("/trials", json=second | {"reason": "OutOfMemoryError"})
    third = api.trial(job_id)
    api.report(third, energy=10_000.0)
    api.trial(job_id)
    api.http.post(f"{path(job_id)}/reset")
    api.http.delete("/jobs", params={"job_id": job_id})
    happened = events(tables, job_id)
    assert [kind for kind, _ in happened] == [
        "job_registered",
        "trial_dispatched",
        "trial_ended",
        "trial_dispatched",
        "trial_ended",
        "batch_size_set_aside",
        "trial_dispatched",
        "trial_ended",
        "stage_changed",
        "trial_dispatched",
        "job_reset",
        "job_deleted",
    ]
    details = [detail for _, detail in happened]
    assert details[1] == {"trial_number": 1, "batch_size": 16, "type": "Exploration", "rule": "default"}
    assert (details[4]["status"], details[4]["failure_reason"]) == ("Failed", "OutOfMemoryError")
    assert details[7]["saved_energy"] == 10_000.0
    assert details[8] == {"stage": "MAB"}
