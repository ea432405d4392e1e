"""What a policy keeps is stored with its jobs and trials, and what it notices is told."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from core.finding import Finding
from core.records import Policy, Trial
from service.engine.batch import run_batch
from service.engine.commands import (
    Begin,
    Change,
    Command,
    Delete,
    End,
    Expire,
    Register,
    Registered,
    Reset,
    Suggest,
)
from service.errors import JobNotFound
from service.store import precedents
from service.store.databases import ServedDatabase
from service.store.happening import Kind
from service.store.inspection import Inspected, inspect
from tests.service.engine.keeping import DEAR, kept
from tests.service.engine.scenes import Play, registration, success, told
from tests.service.tables import Tables

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def keeping() -> Iterator[None]:
    with kept():
        yield


@pytest.fixture
def run(database: ServedDatabase, play: Play) -> "Run":
    return Run(database, play)


class Run:
    """Runs commands, a batch a call."""

    def __init__(self, database: ServedDatabase, play: Play) -> None:
        self.database = database
        self.play = play
        self.happened: list[tuple[Kind, dict[str, Any]]] = []

    def __call__(self, *commands: Command, now: datetime = NOW) -> Sequence[Any]:
        """Return the outcomes of commands."""
        done = self.play(self.database.transact(partial(run_batch, commands=commands, now=now)))
        self.happened += [(one.kind, one.detail) for one in done.happenings]
        return done.outcomes

    def findings(self) -> list[Finding]:
        """Return what a check finds."""
        return self.play(self.database.transact(lambda connection: [*inspect(connection, Inspected())]))

    def execute(self, statement: str) -> None:
        """Change the database past the service."""
        self.play(self.database.transact(lambda connection: connection.exec_driver_sql(statement)))


def frugal(job_id: str = "job", source: str | None = None, **others: Any) -> Register:  # noqa: ANN401
    wanted = registration(job_id)
    members = {"policy": Policy.FRUGAL, "warm_start_from": source} | others
    return replace(wanted, specification=replace(wanted.specification, **members))


def known(tables: Tables, job_id: str = "job") -> dict[str, Any]:
    [(text,)] = tables.rows('SELECT knowledge FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    knowledge: dict[str, Any] = json.loads(text)
    return knowledge


def curves(tables: Tables) -> list[str | None]:
    return [curve for (curve,) in tables.rows('SELECT curve FROM "Trial" ORDER BY trial_number')]


def test_a_policy_finds_what_it_kept_with_a_job(run: Run, tables: Tables) -> None:
    run(frugal())
    assert known(tables)["batch_sizes"] == [8, 16, 32]
    first, second, third, fourth = run(Suggest("job"), Suggest("job"), Begin("job", 32), Suggest("job"))
    assert known(tables)["running"] == 4
    run(End("job", second.batch_size, second.trial_number))
    run(Expire("job"), now=NOW + timedelta(days=2))
    assert known(tables)["running"] == 0
    run(success(first), now=NOW + timedelta(days=2))  # it was lost, and comes late
    assert (known(tables)["running"], known(tables)["learnt"]) == (0, ["0.9;"])
    run(Reset("job", "test"), success(third), now=NOW + timedelta(days=2))
    assert (known(tables)["resets"], known(tables)["learnt"], fourth.trial_number) == (1, ["0.9;"], 4)
    assert run.findings() == []


def test_a_curve_is_kept_while_its_trial_reports_and_learnt_from_as_it_ends(run: Run, tables: Tables) -> None:
    trial, other, lost = run(frugal(), Suggest("job"), Begin("job", 8), Begin("job", 8))[1:]
    run(told("job", trial.batch_size, 1, 0.1, 1000.0))
    run(
        told("job", trial.batch_size, 1, 0.2, 2000.0),
        told("job", 8, 2, 0.3, 1000.0),
        told("job", 8, 3, 0.4, 10),
    )
    assert curves(tables) == ["0.1;0.2;", "0.3;", "0.4;"]
    run(success(trial), End("job", 8, lost.trial_number))
    assert curves(tables) == [None, "0.3;", None]
    assert known(tables)["learnt"] == ["0.1;0.2;0.9;"]
    run(Expire("job"), now=NOW + timedelta(days=2))
    assert curves(tables) == [None, None, None]
    assert other.trial_number == 2
    assert run.findings() == []


def test_a_curve_of_a_trial_that_is_over_is_found_by_a_check(run: Run) -> None:
    _, trial = run(frugal(), Suggest("job"))
    run(success(trial))
    run.execute("UPDATE \"Trial\" SET curve = '0.1;'")
    [finding] = run.findings()
    assert "trial 1 is Succeeded and has a curve" in str(finding)


def test_a_drift_is_counted_and_told(run: Run, tables: Tables) -> None:
    _, trial = run(frugal(beta_knob=None), Suggest("job"))
    run(success(trial, 2 * DEAR))
    assert tables.rows('SELECT num_drifts FROM "Job"') == [(1,)]
    detail = {"trial_number": 1, "batch_size": 16, "expected_cost": 1.0, "seen_cost": 2.0}
    assert run.happened[-1] == (Kind.DRIFT_DETECTED, detail)
    run(*map(success, run(Suggest("job"))))
    assert tables.rows('SELECT num_drifts FROM "Job"') == [(1,)]
    assert tables.rows('SELECT drifted_from FROM "Trial" ORDER BY trial_number') == [(1.0,), (None,)]
    assert run.findings() == []


def test_a_job_of_the_policy_zeus_keeps_nothing(run: Run, tables: Tables) -> None:
    _, trial = run(registration(), Suggest("job"))
    run(told("job", trial.batch_size, 1, 0.1, 1000.0), success(trial))
    assert tables.rows('SELECT knowledge, warm_start_from, num_drifts FROM "Job"') == [(None, None, 0)]
    assert curves(tables) == [None]


def source_of_results(run: Run, job_id: str, prefix: str = "", results: int = 3) -> list[Trial]:
    run(frugal(job_id, job_id_prefix=prefix))
    trials = []
    for _ in range(results):
        [trial] = run(Begin(job_id, 8))
        run(success(trial))
        trials.append(trial)
    return trials


def test_a_job_begins_with_what_the_job_that_it_names_has_shown(run: Run, tables: Tables) -> None:
    source_of_results(run, "source")
    run(Begin("source", 8))
    [registered] = run(frugal(source="source"))
    assert isinstance(registered, Registered)
    assert registered.specification.warm_start_from == "source"
    assert known(tables)["precedents"] == {"source": [1, 2, 3]}
    run(Reset("source", "test"))
    run(frugal("other", source="source"))
    assert known(tables, "other")["precedents"] == {"source": []}


def test_the_newest_results_are_enough(run: Run, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedents, "MOST_TRIALS", 2)
    source_of_results(run, "source")
    run(frugal(source="source"))
    assert known(tables)["precedents"] == {"source": [2, 3]}


def test_a_job_begins_with_those_of_its_prefix_the_last_ones_first(run: Run, tables: Tables) -> None:
    for number, (job_id, prefix) in enumerate((("a-1", "a"), ("a-2", "a"), ("ab-1", "ab"), ("a-3", "a"))):
        run(frugal(job_id, job_id_prefix=prefix))
        [trial] = run(Begin(job_id, 8))
        if job_id != "a-3":
            run(success(trial), now=NOW + timedelta(seconds=number))
    run(frugal("a-4", source="*", job_id_prefix="a"))
    assert list(known(tables, "a-4")["precedents"].items()) == [("a-2", [1]), ("a-1", [1])]
    run(replace(frugal("a-5", source="*", job_id_prefix="a"), reach="a-1"))
    assert known(tables, "a-5")["precedents"] == {"a-1": [1]}
    run(frugal("c-1", source="*", job_id_prefix="c"))
    assert known(tables, "c-1")["precedents"] == {}


def test_a_job_that_names_none_that_is_registered_is_not_registered(run: Run, tables: Tables) -> None:
    source_of_results(run, "source")
    unknown, beyond = run(frugal(source="nobody"), replace(frugal("other", source="source"), reach="other"))
    assert isinstance(unknown, JobNotFound)
    assert "name another job there" in str(unknown)
    assert isinstance(beyond, JobNotFound)
    assert tables.rows('SELECT job_id FROM "Job"') == [("source",)]


def test_where_a_job_began_is_found_again_once_that_is_gone(run: Run, tables: Tables) -> None:
    source_of_results(run, "source")
    run(frugal(source="source"))
    run(Delete("source", "test"))
    [again] = run(frugal(source="source"))
    assert isinstance(again, Registered)
    assert not again.created
    [unnamed] = run(replace(registration(), unnamed=("policy", "warm_start_from")))
    assert isinstance(unnamed, Registered)
    assert unnamed.specification.policy is Policy.FRUGAL
    assert known(tables)["precedents"] == {"source": [1, 2, 3]}


def test_other_terms_leave_what_is_kept(run: Run, tables: Tables) -> None:
    run(frugal(), Suggest("job"))
    run(Change("job", {"eta_knob": 1.0}, "test"))
    assert known(tables)["running"] == 1
