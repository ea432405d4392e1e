"""An arm with more results than are refitted lives on its running sums."""

from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

from core.records import Trial
from core.sums import MOST_REFITTED
from service.engine.batch import run_batch
from service.engine.commands import Command, Delete, Suggest
from service.store.databases import ServedDatabase
from tests.service.engine.scenes import Play, registration, success
from tests.service.engine.test_batch import statements_of
from tests.service.tables import Tables

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def run(database: ServedDatabase, *commands: Command) -> list[object]:
    """Run commands as one batch."""
    done = await database.transact(partial(run_batch, commands=commands, now=NOW))
    return done.outcomes


async def recur(database: ServedDatabase, times: int) -> None:
    """Let a job recur, a batch a recurrence's step, each with another energy."""
    for recurrence in range(times):
        (trial,) = await run(database, Suggest("job"))
        assert isinstance(trial, Trial)
        await run(database, success(trial, 20_000.0 + 37 * (recurrence * 7919 % 101)))


def test_an_arm_with_many_results_equals_its_refit(
    database: ServedDatabase, play: Play, tables: Tables
) -> None:
    async def scene() -> None:
        await run(database, registration(batch_sizes=(16,)))
        await recur(database, MOST_REFITTED + 40)

    play(scene())
    measured = tables.rows('SELECT time, energy FROM "Trial" ORDER BY trial_number')
    [arm] = tables.rows(
        'SELECT num_observations, param_mean, reward_precision, param_precision FROM "GaussianTsArmState"'
    )
    [summed] = tables.rows('SELECT num_results FROM "ArmSums"')
    rewards = np.array([-(0.5 * energy + 0.5 * 200 * time) for time, energy in measured])
    assert summed == (len(rewards),)
    assert tables.rows('SELECT * FROM "ArmHistory"') == [], "nothing is kept that nobody reads"
    assert arm[0] == len(rewards)
    assert arm[1] == pytest.approx(rewards.mean(), rel=1e-12)
    assert arm[2] == pytest.approx(1 / rewards.var(), rel=1e-12)
    assert arm[3] == pytest.approx(len(rewards) / rewards.var(), rel=1e-12)


def test_a_report_no_longer_reads_the_history(database: ServedDatabase, play: Play) -> None:
    async def scene() -> tuple[list[str], list[str]]:
        await run(database, registration(batch_sizes=(16,)))
        await recur(database, MOST_REFITTED)
        reads = []
        for _ in range(2):
            (trial,) = await run(database, Suggest("job"))
            assert isinstance(trial, Trial)
            reads.append(await statements_of(database, [success(trial)]))
        return reads[0], reads[1]

    crossing, beyond = play(scene())
    assert any(map(reads_results, crossing)), "the sums are begun from the whole history"
    assert not any(map(reads_results, beyond))


def reads_results(statement: str) -> bool:
    """Tell whether a statement reads the results of batch sizes."""
    return "ArmHistory" in statement or "trial_number" in statement.partition("ORDER BY")[2]


def test_sums_go_with_their_job(database: ServedDatabase, play: Play, tables: Tables) -> None:
    async def scene() -> None:
        await run(database, registration(batch_sizes=(16,)))
        await recur(database, MOST_REFITTED + 2)
        await run(database, Delete("job", "test"))

    play(scene())
    assert tables.rows('SELECT count(*) FROM "ArmSums"') == [(0,)]
