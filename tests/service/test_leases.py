"""Trials that die or come back late, and batch sizes that fail: what the service does about them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.service.tables import Tables
from tests.service.talk import Api

PATIENCE_SECONDS = 60.0
SHORT = 0.3
"""Seconds of a lease that a test lets run out."""


def beat(api: Api, trial: dict[str, Any]) -> httpx.Response:
    """Send a heartbeat."""
    return api.http.put(f"/api/v1/jobs/{trial['job_id']}/trials/{trial['trial_number']}/heartbeat")


def reset(api: Api, job_id: str) -> httpx.Response:
    """Start a job over."""
    return api.http.post(f"/api/v1/jobs/{job_id}/reset")


def state(tables: Tables, trial: dict[str, Any]) -> tuple[Any, ...]:
    """Return the type, the status, the reason of the failure and whether the result was late."""
    [row] = tables.rows(
        'SELECT type, status, failure_reason, is_late FROM "Trial" '
        "WHERE job_id = :job_id AND trial_number = :number",
        job_id=trial["job_id"],
        number=trial["trial_number"],
    )
    return (*row[:3], bool(row[3]))


def run_out(api: Api, tables: Tables, trial: dict[str, Any]) -> None:
    """Send a heartbeat, then nothing until the service says that the lease has run out, asked by nobody."""
    assert beat(api, trial).status_code == 200
    limit = time.monotonic() + PATIENCE_SECONDS
    while state(tables, trial)[1] == "Dispatched":
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert state(tables, trial)[1:] == ("Failed", "lease_expired", False)


def test_the_first_heartbeat_shortens_the_lease_to_the_jobs_term(api: Api) -> None:
    trial = api.trial(api.register(lease_seconds=1000)["job_id"])
    answer = beat(api, trial)
    assert answer.status_code == 200
    body = answer.json()
    assert body["lease_seconds"] == 1000
    left = datetime.fromisoformat(body["lease_expires"]) - datetime.now(UTC)
    assert timedelta(seconds=900) < left < timedelta(seconds=1100)


def test_a_job_may_want_no_leases(api: Api) -> None:
    trial = api.trial(api.register(lease_seconds=None)["job_id"])
    assert beat(api, trial).json()["lease_expires"] is None


def test_a_heartbeat_is_for_a_trial_that_runs(api: Api) -> None:
    trial = api.trial(api.register()["job_id"])
    for other, status in (
        (trial | {"job_id": "nobody"}, 404),
        (trial | {"trial_number": 9}, 404),
        (trial | {"trial_number": 0}, 422),
        (trial | {"trial_number": 2**31}, 422),
        (trial | {"trial_number": "x"}, 422),
    ):
        assert beat(api, other).status_code == status
    api.report(trial)
    over = beat(api, trial)
    assert (over.status_code, over.json()["type"]) == (409, "urn:batchbandit:problem:trial-over")


def test_names_of_jobs_may_hold_anything_in_a_path(api: Api) -> None:
    job_id = "job/trials/7/heartbeat?a=b&%2F é"
    api.register(job_id=job_id)
    api.trial(job_id)
    quoted = "job%2Ftrials%2F7%2Fheartbeat%3Fa=b&%252F%20%C3%A9"
    answer = api.http.put(f"/api/v1/jobs/{quoted}/trials/1/heartbeat")
    assert (answer.status_code, answer.json()["job_id"]) == (200, job_id)
    assert reset(api, quoted).json() == {"job_id": job_id, "first_trial_number": 2}


def test_a_trial_whose_training_went_silent_fails_by_itself_and_is_explored_again(
    api: Api, tables: Tables
) -> None:
    job_id = api.register(lease_seconds=SHORT)["job_id"]
    trial = api.trial(job_id)
    run_out(api, tables, trial)
    assert beat(api, trial).status_code == 409
    assert api.trial(job_id) == trial | {"trial_number": 2}
    assert state(tables, trial | {"trial_number": 2})[0] == "Exploration"


def test_who_asks_finds_the_lease_run_out_whether_or_not_anybody_has_looked(api: Api, tables: Tables) -> None:
    job_id = api.register(lease_seconds=1e-6)["job_id"]
    trial = api.trial(job_id)
    beat(api, trial)
    time.sleep(0.01)  # the clocks of databases tick in milliseconds
    again = api.trial(job_id)
    assert again["batch_size"] == trial["batch_size"]
    assert state(tables, again)[0] == "Exploration"
    assert state(tables, trial)[1:] == ("Failed", "lease_expired", False)


def test_a_late_report_is_judged_kept_and_marked(api: Api, tables: Tables) -> None:
    job_id = api.register(lease_seconds=SHORT, num_pruning_rounds=1)["job_id"]
    trial = api.trial(job_id)
    run_out(api, tables, trial)
    going = api.report(trial, metric=0.1)
    assert not going.json()["stop_train"]
    assert "late" in going.json()["message"]
    assert state(tables, trial)[1] == "Failed"
    again = api.trial(job_id)
    late = api.report(trial)
    assert late.json()["stop_train"]
    assert late.json()["converged"]
    assert late.json()["message"].startswith("Train succeeded")
    assert "late" in late.json()["message"]
    assert state(tables, trial) == ("Concurrent", "Succeeded", None, True)
    assert state(tables, again)[:2] == ("Exploration", "Dispatched")
    assert api.trial(job_id)["batch_size"] == 16, "the round waits for the newer exploration"
    api.report(again)
    assert api.trial(job_id)["batch_size"] == 8


def test_a_lease_that_ran_out_before_a_result_is_no_failure_after_it(api: Api) -> None:
    job_id = api.register(max_failures=2, lease_seconds=1e-9)["job_id"]
    silent, other = api.trial(job_id), api.trial(job_id)
    assert silent["batch_size"] == other["batch_size"] == 16
    beat(api, silent)
    api.report(other)
    beat(api, api.trial(job_id))
    assert api.trial(job_id)["batch_size"] == 16, "one failure since the last result, of two"


def test_heartbeats_and_reports_move_the_end_of_a_lease(api: Api, tables: Tables) -> None:
    trial = api.trial(api.register(lease_seconds=20)["job_id"])
    ends = []
    for is_beat in (True, True, False, True, False):
        assert (beat(api, trial) if is_beat else api.report(trial, metric=0.1)).status_code == 200
        [(end,)] = tables.rows(
            'SELECT lease_expires FROM "Trial" WHERE job_id = :job_id', job_id=trial["job_id"]
        )
        ends.append(str(end))
        time.sleep(0.3)  # more than a hundredth of the lease
    assert ends == sorted(set(ends))
    assert state(tables, trial)[1] == "Dispatched"


@pytest.mark.parametrize("reason", ["preempted", "unmeasured"])
def test_the_end_of_a_trial_can_be_told_when_its_lease_has_run_out(
    api: Api, tables: Tables, reason: str
) -> None:
    job_id = api.register(lease_seconds=1e-6)["job_id"]
    trial = api.trial(job_id)
    beat(api, trial)
    time.sleep(0.01)  # the clocks of databases tick in milliseconds
    for _ in range(2):
        assert api.end(trial | {"reason": reason}).status_code == 200
        assert state(tables, trial)[1:] == ("Failed", "lease_expired", False)
    assert api.report(trial).json()["converged"]
    assert state(tables, trial)[1:] == ("Succeeded", None, True)


@pytest.mark.parametrize("reason", ["preempted", "unmeasured"])
def test_the_end_of_a_trial_that_is_over_changes_nothing(api: Api, tables: Tables, reason: str) -> None:
    job_id = api.register()["job_id"]
    done, failed = api.run(job_id), api.trial(job_id)
    api.end(failed | {"reason": reason})
    for trial, before in ((done, ("Succeeded", None)), (failed, ("Failed", reason))):
        assert api.end(trial | {"reason": "OutOfMemoryError"}).status_code == 200
        assert state(tables, trial)[1:3] == before
    refused = api.report(failed)
    assert (refused.status_code, refused.json()["type"]) == (400, "urn:batchbandit:problem:trial-failed")
    assert reason in refused.json()["message"]
    assert beat(api, failed).status_code == 409


@pytest.mark.parametrize(
    ("reason", "has_reported", "failures"),
    [
        (None, False, 2),
        ("OutOfMemoryError", True, 2),
        (None, True, 6),
        ("preempted", True, 8),
        ("unmeasured", True, 8),
    ],
)
def test_a_batch_size_that_fails_too_often_in_a_row_is_set_aside(
    api: Api, reason: str | None, failures: int, *, has_reported: bool
) -> None:
    job_id = api.register(max_failures=2)["job_id"]
    for _ in range(failures):
        trial = api.trial(job_id)
        assert trial["batch_size"] == 16
        if has_reported:
            api.report(trial, metric=0.1)
        api.end(trial | ({} if reason is None else {"reason": reason}))
    assert api.trial(job_id)["batch_size"] == (16 if failures == 8 else 32)


def test_a_job_whose_every_batch_size_failed_says_what_to_change_and_can_start_over(
    api: Api, tables: Tables
) -> None:
    job_id = api.register(max_failures=1)["job_id"]
    for size in (16, 32):  # below one that fails nothing is tried
        trial = api.trial(job_id)
        assert trial["batch_size"] == size
        api.end(trial | {"reason": "OutOfMemoryError"})
    refused = api.suggest(job_id)
    assert refused.status_code == 409
    assert "16 (OutOfMemoryError), 32 (OutOfMemoryError)" in refused.json()["message"]
    assert f"POST /api/v1/jobs/{job_id}/reset" in refused.json()["message"]
    answer = reset(api, job_id)
    assert (answer.status_code, answer.json()) == (200, {"job_id": job_id, "first_trial_number": 3})
    assert api.trial(job_id) == {"job_id": job_id, "batch_size": 16, "trial_number": 3}
    assert state(tables, {"job_id": job_id, "trial_number": 1})[1] == "Failed", "history is kept"
    assert reset(api, "nobody").status_code == 404


def test_an_arm_that_fails_is_left_out_and_a_reset_job_learns_anew(api: Api, tables: Tables) -> None:
    job_id = api.register(max_failures=1, num_pruning_rounds=0, mab_num_explorations=1)["job_id"]
    first = api.trial(job_id)
    api.end(first | {"reason": "OutOfMemoryError"})
    tried = {api.run(job_id)["batch_size"] for _ in range(10)}
    assert tried == {8, 16, 32} - {first["batch_size"]}
    running = api.trial(job_id)
    reset(api, job_id)
    assert api.report(running, energy=1.0).json()["converged"], "what still runs is recorded"
    again = {api.run(job_id)["batch_size"] for _ in range(3)}
    assert again == {8, 16, 32}, "each arm is explored anew"
    observed = tables.rows(
        'SELECT num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id', job_id=job_id
    )
    assert observed == [(1,)] * 3, "nothing of before counts"
    [(cost,)] = tables.rows('SELECT min_cost FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    assert cost == 20_000.0


def test_new_members_are_compared_only_where_they_are_named(http: httpx.Client, api: Api) -> None:
    body = api.register(lease_seconds=50, max_failures=7)
    named = {"lease_seconds": 50.0, "max_failures": 7}
    assert body.items() >= named.items()
    unnamed = {name: value for name, value in body.items() if name not in named}
    again = http.post("/jobs", json=unnamed)
    assert (again.status_code, again.json()) == (200, body)
    conflict = http.post("/jobs", json=body | {"max_failures": 8})
    assert conflict.status_code == 409
    assert "max_failures" in conflict.json()["message"]
    assert http.post("/jobs", json=body | {"lease_seconds": None}).status_code == 409


@pytest.mark.parametrize(
    "member",
    [
        {"lease_seconds": 0},
        {"lease_seconds": -1},
        {"lease_seconds": 1e12},
        {"lease_seconds": "60"},
        {"max_failures": 0},
        {"max_failures": None},
        {"max_failures": 1.5},
        {"max_failures": 2**31},
    ],
)
def test_impossible_terms_are_refused(http: httpx.Client, api: Api, member: dict[str, Any]) -> None:
    body = api.register() | {"job_id": "job-impossible"}
    assert http.post("/jobs", json=body | member).status_code == 422


@pytest.mark.parametrize("reason", ["", "x" * 101, 5, "a\x00b", "lease_expired"])
def test_impossible_reasons_are_refused(api: Api, tables: Tables, reason: object) -> None:
    trial = api.trial(api.register()["job_id"])
    assert api.end(trial | {"reason": reason}).status_code == 422
    assert state(tables, trial)[1] == "Dispatched"
