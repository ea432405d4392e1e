"""Jobs of the policy ``frugal`` in the engine: batches of their commands, and what they begin with."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.policies.knowledge import Knowledge, read
from core.records import Policy, Report, Trial
from service.engine.batch import Done, run_batch
from service.engine.commands import (
    Beat,
    Begin,
    Change,
    Command,
    Delete,
    End,
    Expire,
    Once,
    Pause,
    Register,
    Reset,
    Suggest,
    Tell,
)
from service.errors import NoBatchSizeLeft
from service.store.databases import ServedDatabase
from service.store.happening import Kind
from tests.service.engine.scenes import Play, registration
from tests.service.engine.test_batch import findings, in_groups, statements_of, summary
from tests.service.tables import Tables

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
SIZES = (8, 16, 32, 64)
COSTS = {8: 30_000.0, 16: 20_000.0, 32: 15_000.0, 64: 25_000.0}


def frugal(job_id: str, sizes: tuple[int, ...] = SIZES, **others: Any) -> Register:  # noqa: ANN401
    """Return the registration of a job."""
    wanted = registration(job_id, sizes)
    members = {"policy": Policy.FRUGAL, "eta_knob": 1.0, "max_epochs": 5} | others
    return replace(wanted, specification=replace(wanted.specification, **members))


def said(job_id: str, size: int, number: int, metric: float, energy: float, epoch: int = 1) -> Tell:
    """Return a report."""
    return Tell(Report(job_id, size, number, float(epoch), energy, metric, epoch))


async def run(database: ServedDatabase, *commands: Command, now: datetime = NOW) -> Done:
    """Run commands as one batch."""
    return await database.transact(partial(run_batch, commands=commands, now=now))


async def recur(database: ServedDatabase, job_id: str, times: int, scale: float = 1.0) -> list[int]:
    """Let a job recur, each training of which reports twice, unless it is stopped; return its batch sizes."""
    sizes = []
    for _ in range(times):
        [trial] = (await run(database, Suggest(job_id))).outcomes
        assert isinstance(trial, Trial), trial
        size, number, energy = trial.batch_size, trial.trial_number, scale * COSTS[trial.batch_size]
        await run(database, said(job_id, size, number, 0.25, energy / 2, 1))
        await run(database, said(job_id, size, number, 0.5, energy, 2))
        sizes.append(size)
    return sizes


def known(tables: Tables, job_id: str) -> Knowledge:
    """Return what is known of a job."""
    [(text,)] = tables.rows('SELECT knowledge FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    return read(text)


JOBS = st.sampled_from("abc")
NUMBERS = st.integers(1, 7)
CHOSEN = st.sampled_from(SIZES)
REGISTRATIONS: list[Command] = [frugal("a"), frugal("b", (16,)), frugal("c", beta_knob=None)]
COMMANDS = st.one_of(
    st.builds(Suggest, JOBS),
    st.builds(Begin, JOBS, CHOSEN),
    *[
        st.builds(
            said,
            JOBS,
            CHOSEN,
            NUMBERS,
            st.sampled_from([0.1, 0.3, 0.9]),
            st.floats(1e3, 5e4),
            st.integers(1, 5),
        )
    ]
    * 3,
    st.builds(End, JOBS, CHOSEN, NUMBERS, st.sampled_from([None, "oom", "preempted"])),
    st.builds(Suggest, JOBS, once=st.builds(Once, st.sampled_from("kl"), st.just("f"))),
    st.builds(Beat, JOBS, NUMBERS),
    st.builds(Delete, JOBS, st.just("test")),
    st.builds(Reset, JOBS, st.just("test")),
    st.builds(Pause, JOBS, st.booleans(), st.just("test")),
    st.builds(
        Change,
        JOBS,
        st.sampled_from([{"eta_knob": 0.25}, {"beta_knob": None}, {"max_epochs": 2}, {"window_size": 2}]),
        st.just("test"),
    ),
    st.sampled_from([*REGISTRATIONS, Expire("a")]),
)


@settings(max_examples=30, deadline=None)
@given(commands=st.lists(COMMANDS, min_size=1, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=3))
def test_a_batch_is_its_commands_one_after_the_other(
    empty: Callable[[], ServedDatabase],
    tables: Tables,
    play: Play,
    commands: list[Command],
    cuts: list[int],
) -> None:
    edges = [0, *sorted(cuts), len(commands)]
    batches = [commands[i:j] for i, j in pairwise(edges)]
    # All batch sizes under the same few numbers, so that most reports are of a trial.
    before: list[Command] = [*REGISTRATIONS, *(Begin(job, size) for job in "ac" for size in SIZES)]
    results = []
    for groups in (batches, [[command] for command in commands]):
        database = empty()
        outcomes = play(in_groups(database, [before, *groups]))
        results.append((list(map(summary, outcomes)), tables.contents()))
        assert findings(database, play) == []
    assert results[0] == results[1]


def test_a_report_is_judged_with_those_before_it_in_its_batch(
    database: ServedDatabase, play: Play, tables: Tables
) -> None:
    reports = [
        said("job", 16, 1, metric, 1_000.0 * epoch, epoch) for epoch, metric in ((1, 0.1), (2, 0.2), (3, 0.5))
    ]

    async def scene() -> Sequence[object]:
        await run(database, frugal("job", SIZES[:3]), Suggest("job"))
        return (await run(database, *reports, Suggest("job"))).outcomes

    *verdicts, trial = play(scene())
    assert [getattr(verdict, "converged", None) for verdict in verdicts] == [False, False, True]
    assert known(tables, "job").curves == {16: [(1, 0.1), (2, 0.2), (3, 0.5)]}
    assert isinstance(trial, Trial)
    assert known(tables, "job").running == {2: trial.batch_size}
    assert tables.rows('SELECT curve FROM "Trial"') == [(None,), (None,)]


def test_a_drift_is_told_once_with_its_numbers(database: ServedDatabase, play: Play, tables: Tables) -> None:
    async def scene() -> list[tuple[Kind, dict[str, Any]]]:
        await run(database, frugal("job"))
        await recur(database, "job", 15)
        told = []
        for number in range(16, 26):
            [trial] = (await run(database, Suggest("job"))).outcomes
            assert isinstance(trial, Trial)
            energy = 4 * COSTS[trial.batch_size]
            done = await run(database, said("job", trial.batch_size, number, 0.5, energy, 2))
            told += [(one.kind, one.detail) for one in done.happenings]
        return told

    drifts = [detail for kind, detail in play(scene()) if kind is Kind.DRIFT_DETECTED]
    [detail] = drifts
    assert detail["batch_size"] == 32
    assert detail["expected_cost"] == pytest.approx(COSTS[32], rel=0.1)
    assert detail["seen_cost"] == 4 * COSTS[32]
    shown = tables.rows('SELECT trial_number, drifted_from FROM "Trial" WHERE drifted_from IS NOT NULL')
    assert shown == [(detail["trial_number"], detail["expected_cost"])]
    assert tables.rows('SELECT num_drifts FROM "Job"') == [(1,)]
    assert findings(database, play) == []


def test_a_warm_job_does_not_probe_what_its_source_has_shown_to_be_dear(
    database: ServedDatabase, play: Play, tables: Tables
) -> None:
    sizes = tuple(2**k for k in range(3, 11))
    costs = dict(zip(sizes, (22e3, 20e3, 18e3, 16e3, 15.8e3, 15.6e3, 15.4e3, 15.2e3), strict=True))

    async def chosen(job_id: str) -> list[int]:
        taken = []
        for _ in range(20):
            [trial] = (await run(database, Suggest(job_id))).outcomes
            assert isinstance(trial, Trial)
            taken.append(trial.batch_size)
            for epoch in (1, 2, 3, 4):
                energy = costs[trial.batch_size] * epoch / 4
                told = said(job_id, trial.batch_size, trial.trial_number, 0.125 * epoch, energy, epoch)
                await run(database, told)
        return taken

    async def scene() -> tuple[list[int], list[int]]:
        await run(database, frugal("source", sizes))
        for size in 3 * sizes:
            [trial] = (await run(database, Begin("source", size))).outcomes
            assert isinstance(trial, Trial)
            await run(database, said("source", size, trial.trial_number, 0.5, 2 * costs[size], 4))
        await run(database, frugal("cold", sizes), frugal("warm", sizes, warm_start_from="source"))
        await run(database, Delete("source", "test"))
        return await chosen("cold"), await chosen("warm")

    cold, warm = play(scene())
    assert known(tables, "cold").inherited == {}
    assert [*known(tables, "warm").inherited] == list(sizes)
    assert {8, 16, 32} <= set(cold), "which cost more than the default, as the source has shown"
    assert 8 not in warm, "which is the dearest of them"
    assert sum(costs[size] for size in warm) < sum(costs[size] for size in cold)
    assert findings(database, play) == []


def test_a_job_of_the_policy_zeus_is_a_source_too(
    database: ServedDatabase, play: Play, tables: Tables
) -> None:
    async def scene() -> None:
        await run(database, frugal("zeus", policy=Policy.ZEUS, beta_knob=None))
        for size in SIZES:
            [trial] = (await run(database, Begin("zeus", size))).outcomes
            assert isinstance(trial, Trial)
            await run(database, said("zeus", size, trial.trial_number, 0.5, 10.0 * size, 2))
        await run(database, frugal("warm", warm_start_from="zeus"))

    play(scene())
    inherited = known(tables, "warm").inherited
    assert {size: one.energy for size, one in inherited.items()} == pytest.approx(
        {size: 5.0 * size for size in SIZES}
    )


def test_no_batch_size_is_left_until_a_reset(database: ServedDatabase, play: Play) -> None:
    async def scene() -> list[object]:
        await run(database, frugal("job", (16,), num_pruning_rounds=1))
        await run(database, Suggest("job"), said("job", 16, 1, 0.1, 1_000.0, 5))
        done = await run(database, Suggest("job"), Reset("job", "test"), Suggest("job"))
        return done.outcomes

    refused, _, trial = play(scene())
    assert isinstance(refused, NoBatchSizeLeft)
    assert isinstance(trial, Trial)


def test_a_lease_that_runs_out_makes_room_for_another_probe(
    database: ServedDatabase, play: Play, tables: Tables
) -> None:
    async def scene() -> list[object]:
        await run(database, frugal("job"))
        await recur(database, "job", 1)
        await run(database, Suggest("job"))
        return (await run(database, Suggest("job"), now=NOW + timedelta(days=2))).outcomes

    [trial] = play(scene())
    assert isinstance(trial, Trial)
    assert known(tables, "job").running == {3: trial.batch_size}
    assert "probed" in tables.rows('SELECT rationale FROM "Trial" WHERE trial_number = 3')[0][0]
    assert findings(database, play) == []


@pytest.mark.parametrize(("asked", "most"), [("suggest", 5), ("report", 7)])
def test_the_statements_of_a_batch_do_not_grow_with_it(
    database: ServedDatabase, play: Play, asked: str, most: int
) -> None:
    jobs = [f"job-{i}" for i in range(20)]

    async def counted(size: int) -> int:
        done = await run(database, *map(Suggest, jobs))
        trials = [trial for trial in done.outcomes if isinstance(trial, Trial)]
        ends: list[Command] = [
            said(trial.job_id, trial.batch_size, trial.trial_number, 0.5, 1e4) for trial in trials
        ]
        if asked == "report":
            return len(await statements_of(database, ends[:size]))
        await run(database, *ends)
        return len(await statements_of(database, [*map(Suggest, jobs[:size])]))

    async def scene() -> tuple[int, int]:
        await run(database, *map(frugal, jobs))
        for job_id in jobs:
            await recur(database, job_id, 2)
        return await counted(1), await counted(20)

    one, twenty = play(scene())
    assert one == twenty
    assert twenty <= most
