"""What a batch changes is seen by its later commands, whatever had been read before."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from core.records import Arm, Trial, TrialStatus, TrialType
from service.engine.batch import run_batch
from service.engine.commands import Command, Delete, Register, Suggest
from service.store import reading
from service.store.databases import ServedDatabase
from tests.service.engine.scenes import Play, registration, success

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["together", "apart"])
def together(request: pytest.FixtureRequest) -> bool:
    """Return whether commands share a batch: what they do must be the same."""
    return bool(request.param == "together")


async def run(
    database: ServedDatabase, commands: Sequence[Command], *, together: bool = True
) -> list[object]:
    """Run commands in one batch or in one each; return their answers, none of them refused."""
    batches = [commands] if together else [[command] for command in commands]
    outcomes = [
        outcome
        for batch in batches
        for outcome in (await database.transact(partial(run_batch, commands=batch, now=NOW))).outcomes
    ]
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    return outcomes


async def trial(database: ServedDatabase) -> Trial:
    """Dispatch a trial in a batch of its own."""
    (dispatched,) = await run(database, [Suggest("job")])
    assert isinstance(dispatched, Trial)
    return dispatched


async def arms(database: ServedDatabase) -> dict[int, Arm]:
    """Return the job's arms as they are stored."""

    def read(connection: Connection) -> dict[int, Arm]:
        return reading.arms(connection, ["job"])["job"]

    return await database.transact(read)


def of_one_size(rounds: int = 1) -> Register:
    """Return the registration of a job of one batch size."""
    wanted = registration(batch_sizes=(16,))
    return replace(wanted, specification=replace(wanted.specification, num_pruning_rounds=rounds))


def test_a_suggestion_sees_the_exploration_that_ended_before_it(
    database: ServedDatabase, play: Play, together: bool
) -> None:
    async def scene() -> None:
        await run(database, [registration()])
        first = await trial(database)
        _, second = await run(database, [success(first), Suggest("job")], together=together)
        assert isinstance(second, Trial)
        assert (second.batch_size, second.type) == (8, TrialType.EXPLORATION)

    play(scene())


def test_a_suggestion_sees_the_arms_born_before_it(
    database: ServedDatabase, play: Play, together: bool
) -> None:
    async def scene() -> None:
        await run(database, [of_one_size()])
        await run(database, [success(await trial(database))])
        trials = await run(database, [Suggest("job")] * 3, together=together)
        assert [t.type for t in trials if isinstance(t, Trial)] == [TrialType.MAB] * 3

    play(scene())


def test_a_late_report_teaches_the_arm_born_before_it(
    database: ServedDatabase, play: Play, together: bool
) -> None:
    async def scene() -> None:
        await run(database, [of_one_size()])
        first, late = await trial(database), await trial(database)
        await run(database, [success(first)])
        await run(database, [Suggest("job"), success(late, 25_000.0)], together=together)
        assert (await arms(database))[16].num_observations == 2

    play(scene())


def test_a_refit_sees_the_results_told_before_it(
    database: ServedDatabase, play: Play, together: bool
) -> None:
    async def scene() -> None:
        await run(database, [of_one_size()])
        first, second, third = [await trial(database) for _ in range(3)]
        commands: list[Command] = [success(first), success(second), Suggest("job"), success(third)]
        await run(database, commands, together=together)
        assert (await arms(database))[16].num_observations == 3

    play(scene())


def test_a_job_registered_anew_sees_nothing_of_the_deleted_one(
    database: ServedDatabase, play: Play, together: bool
) -> None:
    async def scene() -> None:
        anew = of_one_size(rounds=0)
        await run(database, [anew])
        for _ in range(3):
            await run(database, [success(await trial(database))])
        told = success(Trial("job", 16, 4, NOW, TrialType.MAB, TrialStatus.DISPATCHED))
        await run(database, [Delete("job", "test"), anew, Suggest("job"), told], together=together)
        assert (await arms(database))[16].num_observations == 1

    play(scene())


def test_a_batch_that_fails_as_a_whole_has_changed_nothing(database: ServedDatabase, play: Play) -> None:
    async def scene() -> None:
        await run(database, [registration()])
        with pytest.raises((UnicodeEncodeError, DBAPIError)):
            await run(database, [Suggest("job"), Suggest("\ud800")])
        assert (await trial(database)).trial_number == 1

    play(scene())
