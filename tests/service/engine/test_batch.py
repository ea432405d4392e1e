"""A batch is what its commands would be one after the other, in a bounded number of statements."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection, event

from core import arms
from core.finding import Finding
from core.records import Trial
from core.sums import MOST_REFITTED
from service.engine.batch import run_batch, waves
from service.engine.commands import (
    Beat,
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
)
from service.errors import ServiceError, UnknownJob
from service.store.databases import ServedDatabase
from service.store.inspection import Inspected, inspect
from tests.service.engine.scenes import Play, registration, success, told
from tests.service.tables import Tables

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


async def run(database: ServedDatabase, commands: Sequence[Command]) -> list[object]:
    """Run commands as one batch."""
    done = await database.transact(partial(run_batch, commands=commands, now=NOW))
    return done.outcomes


def test_one_failing_command_fails_alone(database: ServedDatabase, play: Play) -> None:
    async def scene() -> list[object]:
        jobs = [f"job-{i}" for i in range(63)]
        await run(database, [registration(job_id) for job_id in jobs])
        asked = [Suggest(job_id) for job_id in jobs]
        return await run(database, [*asked[:30], Suggest("nobody"), *asked[30:]])

    outcomes = play(scene())
    assert isinstance(outcomes.pop(30), UnknownJob)
    assert [outcome.batch_size for outcome in outcomes if isinstance(outcome, Trial)] == [16] * 63


def test_waves_have_one_command_a_job_in_order() -> None:
    commands = [Suggest(job_id) for job_id in ("a", "b", "a", "c", "a", "b")]
    assert waves(commands) == [[0, 1, 3], [2, 5], [4]]


def commands_of_four_jobs() -> st.SearchStrategy[list[Command]]:
    """Return sequences of commands, most of which make sense: all but "b" have a single batch size."""
    number = st.integers(1, 9)
    cost = st.floats(1e3, 3e4)
    metric = st.sampled_from([0.1, 0.9, 0.9, 0.9])
    size = st.sampled_from([8, 16, 32])
    terms = st.fixed_dictionaries(
        {},
        optional={
            "eta_knob": st.sampled_from([0.0, 0.25, 0.5]),
            "window_size": st.sampled_from([0, 2, WINDOW]),
            "beta_knob": st.sampled_from([None, 1.5]),
        },
    )
    return st.lists(
        st.one_of(
            st.builds(Suggest, st.sampled_from(["a", "a", "b"])),
            st.builds(told, st.just("a"), st.just(16), number, metric, cost),
            st.builds(told, st.just("a"), st.just(16), number, metric, cost),
            st.builds(told, st.just("b"), size, number, metric, cost),
            st.builds(told, st.sampled_from("cd"), st.just(16), number, metric, cost),
            st.builds(told, st.sampled_from("cd"), st.just(16), number, metric, cost),
            st.builds(End, st.sampled_from("abcd"), st.just(16), number, st.sampled_from([None, "oom"])),
            st.builds(
                Suggest, st.sampled_from("abcd"), once=st.builds(Once, st.sampled_from("kl"), st.just("f"))
            ),
            st.builds(Beat, st.sampled_from("abcd"), number),
            st.builds(Delete, st.sampled_from("acd"), st.just("test")),
            st.builds(Reset, st.sampled_from("abcd"), st.just("test")),
            st.builds(Change, st.sampled_from("abcd"), terms, st.just("test")),
            st.builds(Pause, st.sampled_from("abcd"), st.booleans(), st.just("test")),
            st.sampled_from([*REGISTRATIONS, Expire("a")]),
        ),
        min_size=1,
        max_size=40,
    )


WINDOW = 3


def bandit(job_id: str, window: int) -> Register:
    """Return the registration of a job that goes straight to the bandit."""
    wanted = registration(job_id, (16,))
    return replace(
        wanted, specification=replace(wanted.specification, num_pruning_rounds=0, window_size=window)
    )


REGISTRATIONS: list[Command] = [
    registration("a", (16,)),
    registration("b"),
    bandit("c", 0),
    bandit("d", WINDOW),
]


def summary(outcome: object) -> object:
    """Return what a client would be told."""
    return (type(outcome), str(outcome)) if isinstance(outcome, ServiceError) else outcome


@given(commands=commands_of_four_jobs(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_batch_is_its_commands_one_after_the_other(
    empty: Callable[[], ServedDatabase],
    tables: Tables,
    play: Play,
    commands: list[Command],
    data: st.DataObject,
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(commands)), max_size=3).map(sorted))
    batches = [commands[i:j] for i, j in zip([0, *cuts], [*cuts, len(commands)], strict=True)]
    asked = data.draw(st.lists(st.sampled_from("ab"))) + 9 * ["c", "d"]
    taught = [told(job_id, 16, number, 0.9, 2e4) for job_id in "cd" for number in (5, 6)]
    before: list[Command] = [*REGISTRATIONS, *map(Suggest, asked), *taught]
    results = []
    with pytest.MonkeyPatch.context() as patch:
        # Arms live on their sums soon, or late.
        patch.setattr(arms, "MOST_REFITTED", data.draw(st.sampled_from([3, MOST_REFITTED])))
        for groups in (batches, [[command] for command in commands]):
            database = empty()
            outcomes = play(in_groups(database, [before, *groups]))
            results.append((list(map(summary, outcomes)), tables.contents()))
            assert findings(database, play) == []
            for (job_id, size), history in kept(tables).items():
                assert history == recorded(tables, job_id, size)[-window_of(tables, job_id) :]
    assert results[0] == results[1]


def window_of(tables: Tables, job_id: str) -> int:
    """Return a job's window; 0 for all."""
    [(window,)] = tables.rows('SELECT window_size FROM "Job" WHERE job_id = :job_id', job_id=job_id)
    return int(window)


def kept(tables: Tables) -> dict[tuple[str, int], list[list[float]]]:
    """Return the results that are kept beside arms: trial numbers, seconds, joules."""
    rows = tables.rows('SELECT job_id, batch_size, results FROM "ArmHistory"')
    return {(job_id, size): np.frombuffer(results).reshape(-1, 3).tolist() for job_id, size, results in rows}


def recorded(tables: Tables, job_id: str, batch_size: int) -> list[list[float]]:
    """Return the results of a batch size since its job was last reset, as its trials have them."""
    return [
        list(map(float, row))
        for row in tables.rows(
            'SELECT trial_number, time, energy FROM "Trial" JOIN "Job" USING (job_id) WHERE job_id = :job_id '
            "AND batch_size = :batch_size AND status = 'Succeeded' AND trial_number > reset_number "
            "ORDER BY trial_number",
            job_id=job_id,
            batch_size=batch_size,
        )
    ]


@pytest.mark.parametrize("window", [0, 3])
def test_the_results_kept_beside_an_arm_are_those_of_its_window(
    database: ServedDatabase, tables: Tables, play: Play, window: int
) -> None:
    async def scene() -> None:
        await run(database, [bandit("job", window)])
        trials = [t for t in await run(database, [Suggest("job")] * 6) if isinstance(t, Trial)]
        for trial in (*trials[1:], trials[0]):  # the first one comes late
            await run(database, [success(trial, 20_000.0 + trial.trial_number)])

    play(scene())
    assert kept(tables) == {("job", 16): recorded(tables, "job", 16)[-window:]}


def findings(database: ServedDatabase, play: Play) -> list[Finding]:
    """Return what is wrong with what a database keeps."""
    return play(database.read(lambda connection: list(inspect(connection, Inspected()))))


def test_costs_from_before_a_reset_are_not_those_of_the_job_that_starts_over(
    database: ServedDatabase, tables: Tables, play: Play
) -> None:
    async def scene() -> list[object]:
        await run(database, [bandit("job", 0)])
        (trial,) = await run(database, [Suggest("job")])
        assert isinstance(trial, Trial)
        await run(database, [success(trial)])
        terms: list[dict[str, float | None]] = [{"eta_knob": 0.25}, {"eta_knob": 0.75}]
        first, second = (Change("job", one, "test") for one in terms)
        return await run(database, [first, Reset("job", "test"), second])

    assert not [outcome for outcome in play(scene()) if isinstance(outcome, Exception)]
    assert tables.rows('SELECT min_cost, eta_knob FROM "Job"') == [(None, 0.75)]


@pytest.mark.parametrize("window", [0, 3])
def test_a_check_finds_nothing_wrong_with_a_job_that_was_changed(
    database: ServedDatabase, play: Play, window: int
) -> None:
    energies = (20_000.1, 900.7, 0.3, 31_000.9, 1_234.5)

    async def scene() -> None:
        await run(database, [bandit("job", window)])
        trials = [t for t in await run(database, [Suggest("job")] * len(energies)) if isinstance(t, Trial)]
        for trial, energy in zip(trials, energies, strict=True):
            await run(database, [success(trial, energy)])
        await run(database, [Change("job", {"eta_knob": 0.7}, "test")])

    play(scene())
    assert findings(database, play) == []


def test_a_check_finds_nothing_wrong_with_results_that_cost_nothing_and_do_not_count(
    database: ServedDatabase, play: Play
) -> None:
    async def scene() -> list[object]:
        await run(database, [bandit("job", 0)])
        (trial,) = await run(database, [Suggest("job")])
        assert isinstance(trial, Trial)
        await run(database, [success(trial, 0.0)])
        return await run(database, [Reset("job", "test"), Change("job", {"eta_knob": 1.0}, "test")])

    assert not [outcome for outcome in play(scene()) if isinstance(outcome, Exception)]
    assert findings(database, play) == []


async def in_groups(database: ServedDatabase, groups: Sequence[Sequence[Command]]) -> list[object]:
    """Run groups of commands, each as a batch."""
    return [outcome for group in groups if group for outcome in await run(database, group)]


@pytest.mark.parametrize(
    ("stage", "asked", "most"),
    [("pruning", "suggest", 6), ("pruning", "report", 5), ("MAB", "suggest", 5), ("MAB", "report", 10)],
)
def test_the_statements_of_a_batch_do_not_grow_with_it(
    database: ServedDatabase, play: Play, stage: str, asked: str, most: int
) -> None:
    jobs = [f"job-{i}" for i in range(40)]

    async def counted(size: int) -> int:
        trials = [t for t in await run(database, [Suggest(j) for j in jobs]) if isinstance(t, Trial)]
        commands: list[Command] = [success(trial) for trial in trials[:size]]
        if asked == "suggest":
            await run(database, [success(trial) for trial in trials])
            commands = [Suggest(job_id) for job_id in jobs[:size]]
        return len(await statements_of(database, commands))

    async def scene() -> tuple[int, int]:
        await run(database, [registration(job_id, tuple(2**k for k in range(3, 11))) for job_id in jobs])
        for _ in range(9 if stage == "MAB" else 1):
            trials = await run(database, [Suggest(job_id) for job_id in jobs])
            await run(database, [success(trial) for trial in trials if isinstance(trial, Trial)])
        return await counted(1), await counted(40)

    one, forty = play(scene())
    assert one == forty
    assert forty <= most


async def statements_of(database: ServedDatabase, commands: Sequence[Command]) -> list[str]:
    """Run a batch; return its statements, BEGIN and COMMIT aside."""
    seen: list[str] = []

    def work(connection: Connection) -> None:
        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        outcomes = run_batch(connection, commands, NOW).outcomes
        event.remove(connection, "before_cursor_execute", note)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]

    await database.transact(work)
    return seen
