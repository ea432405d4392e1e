"""A job of a policy that prunes nothing: its page, its trials' pages and its views."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from benchmarks.server import Server
from core.policies import knowledge
from core.policies.knowledge import Knowledge, Seen
from core.rationale import Rationale, Rule, Weighed
from core.records import Arm, Failures, Job, Policy, Stage, Trial, TrialType
from service.store import writing
from service.store.databases import run_beside
from service.store.writing import NewTrial
from tests.service.api.paths import path_of
from tests.service.dashboard.histories import NOON, trial_of
from tests.service.dashboard.test_job_page import figures_of, page_of, words_of
from tests.service.store.test_reading import JOB
from tests.service.talk import Api

NAME = "unpruned"
SIZES = (16, 32, 64, 128, 256)
SEEN = {16: Seen(), 32: Seen(successes=1.0), 64: Seen(), 128: Seen(successes=2.0)}
FRUGAL = replace(
    JOB,
    job_id=NAME,
    job_id_prefix="",
    policy=Policy.FRUGAL,
    stage=Stage.MAB,
    default_batch_size=64,
    exp_default_batch_size=64,
    eta_knob=1.0,
    min_cost=9_000.0,
    min_cost_batch_size=128,
    failures={256: Failures(9, "OutOfMemoryError")},
    max_failures=3,
    last_trial_number=6,
    num_drifts=1,
    knowledge=knowledge.write(Knowledge(SIZES, seen=SEEN)),
    num_converged=3,
    num_unconverged=1,
    num_failed=1,
    last_activity=NOON,
)
ARMS = (
    Arm(NAME, 32, -12_000.0, 1e-6, 1e-6, 1),
    Arm(NAME, 64, -30_000.0, 1e-8, 1e-8, 1),
    Arm(NAME, 128, -9_500.0, 4e-6, 1e-6, 2),
)
FADED = Arm(NAME, 16, -5_000.0, 1e-9, 1e-6, 0)  # whose results were of before the drift
TRIED = tuple(
    Weighed(arm.batch_size, arm.param_mean, arm.param_precision, arm.num_observations, None) for arm in ARMS
)
SAMPLED = tuple(
    replace(arm, sample=arm.mean - 500) if arm.batch_size != 64 else arm for arm in TRIED
)  # 64 has not converged
TRIALS = (
    (64, "unconverged", TrialType.EXPLORATION, Rationale(Stage.MAB, Rule.DEFAULT)),
    (32, "converged", TrialType.EXPLORATION, Rationale(Stage.MAB, Rule.SOUGHT, arms=TRIED[1:2])),
    (
        128,
        "converged",
        TrialType.EXPLORATION,
        Rationale(
            Stage.MAB,
            Rule.PROBED,
            arms=(*TRIED[:2], Weighed(128, -11_000.0, 1e-7, 0, None)),
            saving=1_000.0,
            price=2_500.0,
        ),
    ),
    (128, "converged", TrialType.MAB, Rationale(Stage.MAB, Rule.SAMPLED, arms=SAMPLED)),
    (256, "failed", TrialType.CONCURRENT, Rationale(Stage.MAB, Rule.CHOSEN)),
    (128, "running", TrialType.MAB, Rationale(Stage.MAB, Rule.SAMPLED, arms=SAMPLED)),
)
DRIFTED = 4
"""The trial that has shown a drift."""


def trials() -> Iterator[NewTrial]:
    for number, (size, ended, kind, why) in enumerate(TRIALS, 1):
        trial: Trial = trial_of(number, size, ended, kind, (100.0, 9_000.0 + number))
        over = None if ended == "running" else NOON + timedelta(hours=number + 1)
        drifted_from = 4_000.0 if number == DRIFTED else None
        yield NewTrial.of(replace(trial, job_id=NAME, end_timestamp=over, drifted_from=drifted_from), why)


def write(connection: Connection, job: Job) -> None:
    writing.insert_jobs(connection, [(job, SIZES)])
    writing.insert_trials(connection, [*trials()])
    writing.insert_arms(connection, [*ARMS, FADED])


@pytest.fixture(scope="module", autouse=True)
def unpruned(server: Server, http: httpx.Client) -> Iterator[None]:
    """Write the job beside the service, and delete it: a check of the database would find fault with it."""
    run_beside(server.database_url, partial(write, job=FRUGAL), must_exist=True)
    yield
    assert Api(http).delete(NAME).is_success


def test_what_was_not_tried_is_untried_and_not_pruned(http: httpx.Client) -> None:
    shown = http.get(path_of(NAME)).json()
    states = {one["batch_size"]: one["state"] for one in shown["batch_sizes"]}
    assert states == {16: "untried", 32: "arm", 64: "arm", 128: "arm", 256: "set_aside"}
    assert (shown["best_batch_size"], shown["round"], shown["num_drifts"]) == (128, None, 1)
    assert shown["problem"]["trouble"] == "failing"
    odds = [one["probability_best"] for one in shown["batch_sizes"]]
    assert odds[0] is odds[2] is odds[4] is None
    assert odds[1] + odds[3] == pytest.approx(1)


def test_a_decision_tells_what_a_probe_may_save_and_costs(http: httpx.Client) -> None:
    shown = http.get(path_of(NAME, "trials", 3, "decision")).json()
    assert (shown["rule"], shown["saving"], shown["price"]) == ("probed", 1_000.0, 2_500.0)
    assert shown["sentence"] == (
        "Batch size 128, of which no result counted so far, may save 1.00 kJ a training; finding out costs "
        "about 2.50 kJ, as much as 3 trainings may save. Of the others 32 was the cheapest so far: "
        "posterior mean 12.0 kJ ± 1.00 kJ."
    )
    other = http.get(path_of(NAME, "trials", 4, "decision")).json()
    assert (other["saving"], other["price"]) == (None, None)


def test_the_page_of_a_trial_tells_it_too(http: httpx.Client) -> None:
    probed = words_of(http.get("/trial", params={"id": NAME, "number": 3}).text)
    assert "May save 1.00 kJ each training from then on" in probed
    assert "Finding out costs 2.50 kJ" in probed
    assert "The lowest sample is chosen" not in probed
    sampled = words_of(http.get("/trial", params={"id": NAME, "number": DRIFTED}).text)
    assert "The lowest sample is chosen" in sampled
    assert "May save" not in sampled
    assert "Drift Expected 4.00 kJ" in sampled


def test_its_page_has_no_pruning_stage_and_marks_the_drift(http: httpx.Client) -> None:
    page = page_of(http, NAME)
    words = words_of(page)
    assert "prun" not in words.lower().replace(NAME, "").replace("num_pruning_rounds", "")
    assert "untried" in words
    assert "Drifts 1 trainings cost something else than they had before" in words
    figures = figures_of(page)
    for name in ("timeline", "recurrences"):
        [line] = [mark for mark in figures[name] if mark.get("class") == "drift"]
        assert line[0].text == "Trial 4: trainings cost something else than before"
        assert re.fullmatch(r"M[\d.]+ [\d.]+V[\d.]+", line.get("d", ""))
    assert not [mark for mark in figures["timeline"] if "stage-" in mark.get("class", "")]
    titles = [mark[0].text for mark in figures["timeline"] if len(mark)]
    assert "Trial 3, batch size 128, exploring: reached the target" in titles
    assert "Trial 5, batch size 256, bandit: failed" in titles


def test_in_the_list_it_is_one_of_the_bandit(http: httpx.Client) -> None:
    listed = http.get("/api/v1/jobs", params={"policy": "frugal", "prefix": NAME}).json()["jobs"]
    assert [(job["stage"], job["best_batch_size"]) for job in listed] == [("MAB", 128)]
    assert http.get("/api/v1/jobs", params={"trouble": "stuck", "prefix": NAME}).json()["jobs"] == []
