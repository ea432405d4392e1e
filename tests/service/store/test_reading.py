"""What the statements select, by which index, and in how many round trips."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from core.history import history_of
from core.records import Arm, Job, Stage, Trial, TrialStatus, TrialType
from core.sums import Sums
from service.store import reading, sparklines, writing
from service.store.answer import Answer
from service.store.writing import Kept, NewTrial
from tests.service.store.conftest import Play
from tests.service.store.plans import plan_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
JOB_IDS = [f"job-{number}" for number in range(60)]
SIZES = (32, 64)
KEYS = list(product(JOB_IDS, SIZES))

JOB = Job(
    job_id="job-0",
    job_id_prefix="job",
    default_batch_size=32,
    higher_is_better_metric=True,
    eta_knob=0.5,
    beta_knob=None,
    target_metric=0.5,
    max_epochs=1,
    num_pruning_rounds=0,
    window_size=0,
    max_power=1.0,
    number_of_gpus=1,
    gpu_model="A40",
    mab_prior_mean=0.0,
    mab_prior_precision=0.0,
    mab_num_explorations=2,
    mab_seed=None,
    lease_seconds=600.0,
    max_failures=3,
    mab_random_generator_state="",
    exp_default_batch_size=32,
    stage=Stage.MAB,
    min_cost=None,
    min_cost_batch_size=32,
    last_trial_number=54,
)
ARM = Arm(
    job_id="job-0",
    batch_size=32,
    param_mean=-1.0,
    param_precision=1.0,
    reward_precision=1.0,
    num_observations=9,
)
DUE = {job_id: NOON + timedelta(days=number) for number, job_id in enumerate(JOB_IDS[::10])}
JOBS = [(replace(JOB, job_id=job_id, next_expiry=DUE.get(job_id)), SIZES) for job_id in JOB_IDS]
ANSWERS = [Answer(job_id, place, "asked", NOON, b"{}") for job_id in JOB_IDS for place in range(2)]
ARMS = [replace(ARM, job_id=job_id, batch_size=size) for job_id, size in KEYS]
SUMS = [Sums(job_id, size).plus(np.array([[1.0, 2.0, 3.0]])) for job_id, size in KEYS]


KEPT = [Kept(job_id, size, np.array([[1.0, 2.0, 3.0]]), is_new=False) for job_id, size in KEYS]


def trial_of(job_id: str, number: int, status: TrialStatus, type_: TrialType) -> Trial:
    ended = status is TrialStatus.SUCCEEDED
    return Trial(
        job_id=job_id,
        batch_size=SIZES[number % 2],
        trial_number=number,
        start_timestamp=NOON + timedelta(microseconds=number),
        type=type_,
        status=status,
        time=float(number) if ended else None,
        energy=10.0 * number if ended else None,
        lease_expires=NOON + timedelta(days=number) if status is TrialStatus.DISPATCHED else None,
    )


# Each batch size has three trials of every status and type.
TRIALS = [
    trial_of(job_id, number, *kind)
    for job_id in JOB_IDS
    for number, (kind, _) in enumerate(product(product(TrialStatus, TrialType), range(6)), start=1)
]


@pytest.fixture(scope="module")
def inhabited(engine: Engine, play: Play) -> Engine:
    """Return an engine on a database that holds the jobs, their trials, arms and sums."""

    def inhabit() -> None:
        with engine.begin() as connection:
            writing.insert_jobs(connection, JOBS)
            writing.insert_trials(connection, [NewTrial(trial) for trial in TRIALS])
            writing.insert_arms(connection, ARMS)
            writing.keep_histories(connection, [replace(kept, is_new=True) for kept in KEPT])
            writing.replace_sums(connection, SUMS)
            writing.keep_answers(connection, ANSWERS, ())

    play(inhabit)
    return engine


@pytest.mark.parametrize("window", [0, 1, 4, 9, 1000])
def test_results_are_the_newest_of_their_window_ascending(connection: Connection, window: int) -> None:
    wanted = [("job-3", 64), ("job-7", 32), ("job-7", 64), ("job-7", 128), ("nobody's", 32)]
    found = reading.results(connection, wanted, window)
    expected = {
        key: history_of(trial for trial in TRIALS if (trial.job_id, trial.batch_size) == key)[-window:]
        for key in wanted
    }
    assert list(found) == wanted
    for key, history in found.items():
        np.testing.assert_array_equal(history, expected[key])
    assert [len(results) for results in found.values()] == [min(window or 9, 9)] * 3 + [0, 0]


def test_explorations_are_those_that_have_not_failed_ascending(connection: Connection) -> None:
    found = reading.explorations(connection, ["job-3", "job-7", "nobody's"])
    expected: dict[str, dict[int, Trial]] = {"job-3": {}, "job-7": {}, "nobody's": {}}
    for trial in TRIALS:
        if trial.type is TrialType.EXPLORATION and trial.status is not TrialStatus.FAILED:
            expected.get(trial.job_id, {})[trial.trial_number] = trial
    assert found == expected
    assert [list(trials) for trials in found.values()] == [sorted(trials) for trials in expected.values()]
    assert len(found["job-3"]) == 12


def test_sparklines_are_of_the_last_40_trials_that_have_ended(connection: Connection) -> None:
    usual = replace(JOB, job_id="job-3", num_default=2, default_time=10.0, default_energy=40.0)
    writing.update_jobs(connection, [usual])
    converged = next(trial for trial in TRIALS if trial.job_id == "job-3" and trial.trial_number == 30)
    writing.update_trials(connection, [replace(converged, converged=True)])
    found = sparklines.latest(connection, ["job-3", "job-7", "nobody's"])
    assert list(found) == ["job-3", "job-7"]
    assert found["job-3"].usual == 12.5  # half of 20 J and half of 5 s at 1 W
    assert found["job-7"].usual is None
    ended = [
        trial.trial_number
        for trial in TRIALS
        if trial.job_id == "job-3" and trial.status is not TrialStatus.DISPATCHED and trial.trial_number > 14
    ]
    assert [trial.trial_number for trial in found["job-3"].trials] == ended
    costs = {trial.trial_number: trial.cost for trial in found["job-3"].trials}
    assert costs.pop(30) == 165.0
    assert set(costs.values()) == {None}


def test_the_newest_exploration_may_have_failed(connection: Connection) -> None:
    wanted = [("job-3", 32), ("job-3", 128), ("nobody's", 32)]
    newest = max(
        trial.trial_number
        for trial in TRIALS
        if (trial.job_id, trial.batch_size, trial.type) == ("job-3", 32, TrialType.EXPLORATION)
    )
    assert reading.newest_explorations(connection, wanted) == dict(zip(wanted, (newest, 0, 0), strict=True))


def test_leased_are_the_running_trials_with_a_lease(connection: Connection) -> None:
    found = reading.leased(connection, ["job-3", "nobody's"])
    running = {
        trial.trial_number: trial
        for trial in TRIALS
        if trial.job_id == "job-3" and trial.status is TrialStatus.DISPATCHED
    }
    assert found == {"job-3": running, "nobody's": {}}


def test_due_are_the_jobs_whose_next_expiry_has_come_the_longest_due_first(connection: Connection) -> None:
    assert reading.due_jobs(connection, 100) == list(DUE)
    assert reading.due_jobs(connection, 2) == list(DUE)[:2]
    later = replace(JOB, job_id=JOB_IDS[0], next_expiry=datetime.now(UTC) + timedelta(minutes=1))
    writing.update_jobs(connection, [later])
    assert reading.due_jobs(connection, 100) == list(DUE)[1:]


def test_what_is_due_is_found_by_when_it_is_due(
    connection: Connection, statements: list[tuple[str, Any]]
) -> None:
    reading.due_jobs(connection, 5)
    [(statement, parameters)] = statements.copy()
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")
        assert any("SEARCH Job USING" in step and "(next_expiry<?)" in step for step in plan)
    else:
        [index] = [node for node in plan_of(connection, statement, parameters) if "Index Name" in node]
        assert index["Index Name"] == "ix_Job_next_expiry"
        assert "next_expiry <=" in index["Index Cond"]


def test_the_databases_clock_is_utc(connection: Connection) -> None:
    ([_], now) = reading.timed_jobs(connection, ["job-3"])
    assert now is not None
    for moment in (now, reading.moment(connection), reading.oldest_answer(connection)[0]):
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)
    assert reading.timed_jobs(connection, ["nobody's"]) == ([], None)


def test_old_answers_go_call_by_call_and_the_rest_stays(connection: Connection) -> None:
    assert reading.oldest_answer(connection)[1] == NOON
    newer = Answer("newer", 0, "asked", NOON + timedelta(hours=1), b"{}")
    writing.keep_answers(connection, [newer], [JOB_IDS[0]])
    writing.delete_answers(connection, NOON, 40)
    left = reading.answers(connection, [*JOB_IDS, "newer"])
    assert JOB_IDS[0] not in {answer.key for answer in left}
    assert newer in left
    writing.delete_answers(connection, NOON, 1000)
    assert reading.answers(connection, [*JOB_IDS, "newer"]) == [newer]


def test_what_was_dispatched_before_a_reset_is_no_result(connection: Connection) -> None:
    writing.update_jobs(connection, [replace(JOB, job_id="job-3", reset_number=30)])
    for window in (0, 2, 1000):
        history = reading.results(connection, [("job-3", 32)], window)["job-3", 32]
        expected = [
            trial
            for trial in TRIALS
            if (trial.job_id, trial.batch_size) == ("job-3", 32) and trial.trial_number > 30
        ]
        np.testing.assert_array_equal(history, history_of(expected)[-window:])


def test_what_does_not_exist_is_not_found(connection: Connection) -> None:
    assert reading.jobs(connection, ["nobody's"]) == []
    assert reading.trials(connection, [("job-3", 1000), ("nobody's", 1)]) == []
    assert reading.batch_sizes(connection, ["nobody's"]) == {"nobody's": []}
    assert reading.arms(connection, ["nobody's"]) == {"nobody's": {}}
    assert reading.sums(connection, [("job-3", 128)]) == {("job-3", 128): None}
    assert reading.last_numbers(connection, ["job-3"]) == {}


def test_a_deleted_job_leaves_its_highest_trial_number_and_its_neighbours(connection: Connection) -> None:
    for highest in (54, 60):  # a name can be deleted again
        writing.delete_jobs(connection, {"job-3": highest, "job-7": highest})
        assert reading.last_numbers(connection, ["job-3", "job-4", "job-7"]) == {
            "job-3": highest,
            "job-7": highest,
        }
    tables = ("Job", "BatchSize", "Trial", "GaussianTsArmState", "ArmHistory", "ArmSums")
    counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM \"{table}\"" for table in tables)  # noqa: S608  (our own names)
    assert dict(connection.exec_driver_sql(counts).all()) == {
        "Job": 58,
        "BatchSize": 116,
        "Trial": 58 * 54,
        "ArmHistory": 116,
        "ArmSums": 116,
        "GaussianTsArmState": 116,
    }
    assert {job.job_id for job in reading.jobs(connection, JOB_IDS)} == set(JOB_IDS) - {"job-3", "job-7"}


# Every statement, on the first so many of what there is.
Action = Callable[[Connection, int], object]

READS: dict[str, Action] = {
    "jobs": lambda c, n: reading.jobs(c, JOB_IDS[:n]),
    "last_numbers": lambda c, n: reading.last_numbers(c, JOB_IDS[:n]),
    "batch_sizes": lambda c, n: reading.batch_sizes(c, JOB_IDS[:n]),
    "arms": lambda c, n: reading.arms(c, JOB_IDS[:n]),
    "explorations": lambda c, n: reading.explorations(c, JOB_IDS[:n]),
    "newest explorations": lambda c, n: reading.newest_explorations(c, KEYS[:n]),
    "leased": lambda c, n: reading.leased(c, JOB_IDS[:n]),
    "answers": lambda c, n: reading.answers(c, JOB_IDS[:n]),
    "trials": lambda c, n: reading.trials(c, [(job_id, 1) for job_id in JOB_IDS[:n]]),
    "histories": lambda c, n: reading.histories(c, KEYS[:n]),
    "results": lambda c, n: reading.results(c, KEYS[:n], 5),
    "all results": lambda c, n: reading.results(c, KEYS[:n], 0),
    "sums": lambda c, n: reading.sums(c, KEYS[:n]),
    "sparklines": lambda c, n: sparklines.latest(c, JOB_IDS[:n]),
}
CHANGES: dict[str, Action] = {
    "update_jobs": lambda c, n: writing.update_jobs(c, [job for job, _ in JOBS[:n]]),
    "update_trials": lambda c, n: writing.update_trials(c, TRIALS[:n]),
    "update_arms": lambda c, n: writing.update_arms(c, ARMS[:n]),
    "keep_histories": lambda c, n: writing.keep_histories(c, KEPT[:n]),
    "replace_sums": lambda c, n: writing.replace_sums(c, SUMS[:n]),
    "update_terms": lambda c, n: writing.update_terms(c, [job for job, _ in JOBS[:n]]),
    "forget_results": lambda c, n: writing.forget_results(c, JOB_IDS[:n]),
    "forget_arms": lambda c, n: writing.forget_arms(c, JOB_IDS[:n]),
    "delete_jobs": lambda c, n: writing.delete_jobs(c, dict.fromkeys(JOB_IDS[:n], 54)),
}
INSERTS: dict[str, Action] = {
    "insert_jobs": lambda c, n: writing.insert_jobs(
        c, [(replace(JOB, job_id=f"new-{number}"), SIZES) for number in range(n)]
    ),
    "insert_trials": lambda c, n: writing.insert_trials(
        c, [NewTrial(replace(TRIALS[0], trial_number=number)) for number in range(1000, 1000 + n)]
    ),
}
ACTIONS = READS | CHANGES | INSERTS


@pytest.mark.parametrize("action", ACTIONS)
def test_the_number_of_statements_is_the_same_whatever_the_batch(
    connection: Connection, statements: list[tuple[str, Any]], action: str
) -> None:
    with connection.begin_nested() as alone:
        statements.clear()
        ACTIONS[action](connection, 1)
        seen = [statement.split()[:3] for statement, _ in statements]
        alone.rollback()
    statements.clear()
    ACTIONS[action](connection, 60)
    assert [statement.split()[:3] for statement, _ in statements] == seen
    assert len(seen) == 1 or action in CHANGES | INSERTS


def test_nothing_to_write_is_no_statement(connection: Connection, statements: list[tuple[str, Any]]) -> None:
    nothing: list[Sums] = []
    writing.replace_sums(connection, nothing)
    writing.insert_jobs(connection, [])
    writing.insert_trials(connection, [])
    writing.delete_jobs(connection, {})
    assert statements == []


@pytest.mark.parametrize("is_analyzed", [False, True])
@pytest.mark.parametrize("action", READS | CHANGES)
def test_every_statement_finds_its_rows_by_an_index(
    connection: Connection, statements: list[tuple[str, Any]], action: str, *, is_analyzed: bool
) -> None:
    if is_analyzed:
        connection.exec_driver_sql("ANALYZE")
    statements.clear()
    ACTIONS[action](connection, 20)
    for statement, parameters in statements.copy():
        if connection.dialect.name == "sqlite":
            assert_searches_on_sqlite(connection, statement, parameters, is_analyzed=is_analyzed)
        else:
            assert_searches_on_postgres(connection, statement, parameters)


def assert_searches_on_sqlite(
    connection: Connection, statement: str, parameters: object, *, is_analyzed: bool
) -> None:
    """See that a plan searches; once SQLite has counted the rows, it may read a small table of jobs whole."""
    scans = ("SCAN keys VIRTUAL TABLE", *(["SCAN Job"] if is_analyzed else []))
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")  # type: ignore[arg-type]
    steps = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert steps or statement.startswith("INSERT")
    for step in steps:
        assert step.startswith(("SEARCH", *scans)), f"{step}: {statement}"
        assert "USING" in step or step.startswith(scans), f"{step}: {statement}"


def assert_searches_on_postgres(connection: Connection, statement: str, parameters: Sequence[object]) -> None:
    """See that every index is entered by a job id or a key, in the plan for these parameters and for any."""
    for mode in ("force_custom_plan", "force_generic_plan"):
        for node in plan_of(connection, statement, parameters, mode):
            assert node["Node Type"] != "Seq Scan", f"{mode}: {statement}"
            if "Index Name" in node:
                assert re.search("job_id|key", node.get("Index Cond", "")), f"{mode}: {statement}"


@pytest.mark.parametrize(
    ("action", "index"),
    [
        ("explorations", "ix_Trial_explorations"),
        ("newest explorations", "ix_Trial_explored"),
        ("leased", "ix_Trial_leases"),
        ("results", "ix_Trial_results"),
        ("all results", "ix_Trial_results"),
    ],
)
def test_a_history_is_read_by_the_index_made_for_it(
    connection: Connection, statements: list[tuple[str, Any]], action: str, index: str
) -> None:
    ACTIONS[action](connection, 20)
    [(statement, parameters)] = statements.copy()
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        assert any(index in step for step in plan.scalars("detail"))
    else:
        used = {
            node["Index Name"] for node in plan_of(connection, statement, parameters) if "Index Name" in node
        }
        assert used - {"Job_pkey"} == {index}  # a job says since which trial they count
