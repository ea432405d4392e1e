"""Keys and leases where commands meet in one batch, or replicas at one job."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from msgspec.structs import replace

from core.records import Failures, Trial
from service.engine import repetition
from service.engine.batch import run_batch
from service.engine.commands import Beat, Command, Expire, Once, Registered, Suggest
from service.engine.commit import GroupCommit
from service.errors import KeyReused
from service.store import reading
from service.store.databases import ServedDatabase, open_database
from tests.service.engine.scenes import Play, registration, specification
from tests.service.tables import Tables


def once(place: int, asked: str, *, is_bulk: bool = False) -> Once:
    """Return what makes a call with the key once only."""
    return Once("key", asked, place, keeps_refusals=is_bulk)


@pytest.mark.parametrize("single_is_first", [True, False])
def test_a_key_stands_for_the_request_that_came_with_it_first(
    database: ServedDatabase, tables: Tables, play: Play, *, single_is_first: bool
) -> None:
    single: list[Command] = [Suggest("x", once=once(0, "single"))]
    bulk: list[Command] = [
        Suggest(name, once=once(place, "bulk", is_bulk=True)) for place, name in enumerate("yz")
    ]
    commands = single + bulk if single_is_first else bulk + single
    play(database.transact(partial(run_batch, commands=[registration(name) for name in "xyz"])))
    outcomes = play(database.transact(partial(run_batch, commands=commands))).outcomes
    kinds = [type(outcome) for outcome in outcomes]
    expected: list[type] = [Trial, KeyReused, KeyReused] if single_is_first else [Trial, Trial, KeyReused]
    assert kinds == expected
    assert tables.rows('SELECT count(*) FROM "Trial"') == [(kinds.count(Trial),)]
    assert play(database.transact(partial(run_batch, commands=commands[:1]))).outcomes == outcomes[:1]


def test_replicas_that_expire_one_trial_at_a_time_count_it_once(
    database: ServedDatabase, database_url: str, tables: Tables, play: Play
) -> None:
    wanted = registration("job")
    wanted = replace(wanted, specification=replace(wanted.specification, lease_seconds=1.0))
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    commands: list[Command] = [wanted, Suggest("job"), Beat("job", 1)]
    play(database.transact(partial(run_batch, commands=commands, now=long_ago)))

    replica = open_database(database_url) if database_url.startswith("postgres") else database

    async def expire_at_once() -> None:
        async with GroupCommit(database, 10) as one, GroupCommit(replica, 10) as other:
            await asyncio.gather(*(engine.submit(Expire("job")) for engine in (one, other) * 5))
        if replica is not database:
            await replica.close()

    play(expire_at_once())
    [job] = play(database.transact(partial(reading.jobs, job_ids=["job"])))
    assert job.failures == {16: Failures(3, "lease_expired")}
    assert job.next_expiry is None
    assert tables.rows('SELECT status, failure_reason FROM "Trial"') == [("Failed", "lease_expired")]


def test_an_answer_that_a_release_before_has_kept_is_given_again() -> None:
    registered = Registered(specification("job"), created=True)
    name, content = msgspec.json.decode(repetition.encode(registered))
    for member in ("policy", "warm_start_from"):
        del content["specification"][member]
    assert repetition.decode(msgspec.json.encode((name, content))) == registered
