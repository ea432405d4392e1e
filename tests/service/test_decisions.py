"""GET /jobs/batch_size, POST /report and PATCH /trials: what a job is told."""

from typing import Any

import pytest

from tests.service.tables import Tables
from tests.service.talk import Api

COSTS = {8: 1000.0, 16: 900.0, 32: 800.0}


def test_exploration_goes_down_then_up_then_starts_at_the_cheapest(api: Api) -> None:
    job_id = api.register()["job_id"]
    tried = []
    for _ in range(6):
        trial = api.trial(job_id)
        energy = COSTS[trial["batch_size"]]
        api.report(trial, energy=energy, time=energy / 200)
        tried.append(trial["batch_size"])
    assert tried == [16, 8, 32, 32, 16, 8]


def test_while_an_exploration_runs_others_use_the_cheapest_so_far(api: Api) -> None:
    job_id = api.register()["job_id"]
    assert [api.trial(job_id)["batch_size"] for _ in range(3)] == [16, 16, 16]
    api.report({"job_id": job_id, "batch_size": 16, "trial_number": 1})
    assert [api.trial(job_id)["batch_size"] for _ in range(3)] == [8, 16, 16]


def test_an_exploration_that_died_is_explored_again(api: Api) -> None:
    job_id = api.register()["job_id"]
    assert api.end(api.trial(job_id)).status_code == 200
    assert api.trial(job_id) == {"job_id": job_id, "batch_size": 16, "trial_number": 2}


def test_a_job_without_a_batch_size_that_converges_says_what_to_change(api: Api) -> None:
    job_id = api.register(max_epochs=1)["job_id"]
    for _ in range(2):
        assert api.report(api.trial(job_id), metric=0.1).json()["stop_train"]
    answer = api.suggest(job_id)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "target_metric" in answer.json()["message"]


def test_zero_pruning_rounds_go_straight_to_the_bandit(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=0, mab_num_explorations=0)["job_id"]
    explored = {api.run(job_id)["batch_size"] for _ in range(3)}
    assert explored == {8, 16, 32}, "an arm without observations comes before any draw"
    types = tables.rows('SELECT DISTINCT type FROM "Trial" WHERE job_id = :job_id', job_id=job_id)
    assert types == [("MAB",)]
    assert tables.rows('SELECT stage FROM "Job" WHERE job_id = :job_id', job_id=job_id) == [("MAB",)]


def test_a_seeded_job_repeats_and_an_unseeded_one_does_not(api: Api) -> None:
    def choices(seed: int | None) -> list[int]:
        sizes = [2**k for k in range(3, 11)]
        job_id = api.register(mab_seed=seed, num_pruning_rounds=0, batch_sizes=sizes, default_batch_size=8)[
            "job_id"
        ]
        return [api.trial(job_id)["batch_size"] for _ in range(20)]

    assert choices(7) == choices(7)
    assert choices(None) != choices(None)


@pytest.mark.parametrize(
    ("said", "stop", "converged", "message"),
    [
        ({"metric": 0.4}, False, False, "Stop condition not met, keep training"),
        ({"metric": 0.5}, True, True, "Train succeeded"),
        ({"metric": 0.4, "current_epoch": 10}, True, False, "Train failed to converge within max_epoch(10)"),
        ({"metric": 0.9, "energy": 1e6}, True, False, "exceeded the cost upper bound"),
        ({"metric": 0.4, "energy": 1e6}, True, False, "exceeded the cost upper bound"),
    ],
)
def test_a_report_is_judged(
    api: Api, said: dict[str, Any], stop: bool, converged: bool, message: str
) -> None:
    job_id = api.register()["job_id"]
    api.run(job_id)
    answer = api.report(api.trial(job_id), **said).json()
    assert (answer["stop_train"], answer["converged"]) == (stop, converged)
    assert message in answer["message"]


def test_a_repeated_report_gets_the_stored_result(api: Api) -> None:
    job_id = api.register()["job_id"]
    trial = api.trial(job_id)
    api.report(trial)
    again = api.report(trial, metric=0.0, energy=1e9)
    assert again.json() == {
        "stop_train": True,
        "converged": True,
        "message": "Result for this trial(1) is already reported.",
    }


def test_a_report_after_the_end_of_a_trial_is_refused_with_the_reason(api: Api) -> None:
    trial = api.trial(api.register()["job_id"])
    api.end(trial)
    answer = api.report(trial)
    assert answer.status_code == 400
    assert "ended before" in answer.json()["message"]


def test_ending_twice_or_after_a_result_changes_nothing(api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    failed, succeeded = api.trial(job_id), None
    assert [api.end(failed).status_code for _ in range(2)] == [200, 200]
    succeeded = api.run(job_id)
    assert api.end(succeeded).status_code == 200
    statuses = tables.rows(
        'SELECT status FROM "Trial" WHERE job_id = :job_id ORDER BY trial_number', job_id=job_id
    )
    assert statuses == [("Failed",), ("Succeeded",)]


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"trial_number": 99}, {"job_id": "nobody"}])
def test_a_trial_that_was_never_dispatched_is_unknown(api: Api, change: dict[str, Any]) -> None:
    trial = api.trial(api.register()["job_id"]) | change
    assert api.report(trial).status_code == 400
    assert api.end(trial).status_code == 404


def test_an_unconverged_trial_never_lowers_the_bound(api: Api, tables: Tables) -> None:
    job_id = api.register(max_epochs=1)["job_id"]
    api.report(api.trial(job_id), energy=10_000.0)
    api.report(api.trial(job_id), energy=1.0, time=0.01, metric=0.0)
    rows = tables.rows(
        'SELECT min_cost, min_cost_batch_size FROM "Job" WHERE job_id = :job_id', job_id=job_id
    )
    assert rows == [(0.5 * 10_000 + 0.5 * 200 * 100, 16)]


def test_a_trial_of_the_pruning_stage_that_reports_late_teaches_its_arm(api: Api, tables: Tables) -> None:
    job_id = api.register(batch_sizes=[16], num_pruning_rounds=1)["job_id"]
    first, late = api.trial(job_id), api.trial(job_id)
    api.report(first, energy=1000.0, time=5.0)
    api.run(job_id, energy=1200.0, time=5.0)
    answer = api.report(late, energy=1100.0, time=5.0)
    assert answer.status_code == 200
    arms = tables.rows(
        'SELECT num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id', job_id=job_id
    )
    assert arms == [(3,)]


def test_a_pruned_batch_size_that_reports_late_is_recorded(api: Api, tables: Tables) -> None:
    job_id = api.register(num_pruning_rounds=1, max_epochs=1)["job_id"]
    first = api.trial(job_id)
    late = api.trial(job_id)
    assert late["batch_size"] == 16
    api.report(first, metric=0.0)
    api.run(job_id)
    api.trial(job_id)
    assert api.report(late).json()["converged"]
    arms = tables.rows('SELECT batch_size FROM "GaussianTsArmState" WHERE job_id = :job_id', job_id=job_id)
    assert arms == [(32,)]


@pytest.mark.parametrize(
    ("eta", "said", "advice"),
    [
        (1.0, {"energy": 0.0}, "eta_knob"),
        (0.5, {"energy": 1e100, "time": 1e100}, "units"),
        (0.0, {"time": 1e100}, "units"),
    ],
)
def test_a_report_that_makes_no_cost_says_what_to_do_and_leaves_the_trial_open(
    api: Api, eta: float, said: dict[str, float], advice: str
) -> None:
    trial = api.trial(api.register(eta_knob=eta)["job_id"])
    answer = api.report(trial, **said)
    assert answer.status_code == 422
    assert advice in answer.json()["message"]
    assert answer.json()["detail"][0]["loc"] == ["body"]
    assert api.report(trial).json()["converged"]
