"""What is recorded stands or falls with what it tells."""

from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from service.clock import utc_now
from service.engine.batch import run_batch
from service.engine.commands import Command, Delete, Once, Registered, Reset, Suggest
from service.store.databases import ServedDatabase
from tests.service.engine.scenes import Play, registration
from tests.service.tables import Tables

EVENTS = 'SELECT actor, action, subject FROM "AuditEvent" ORDER BY event_id'


def test_a_batch_records_what_its_commands_did_in_their_order(
    database: ServedDatabase, tables: Tables, play: Play
) -> None:
    commands: list[Command] = [
        Delete("one", "a"),
        registration("one"),
        Suggest("one"),
        registration("one"),
        Delete("one", "b"),
        registration("two"),
    ]
    outcomes = play(database.transact(lambda connection: run_batch(connection, commands, utc_now()))).outcomes
    assert isinstance(outcomes[0], Exception)
    assert tables.rows(EVENTS) == [
        ("test", "register job", "one"),
        ("b", "delete job", "one"),
        ("test", "register job", "two"),
    ]


def test_a_reset_is_recorded_and_what_is_asked_again_is_not(
    database: ServedDatabase, tables: Tables, play: Play
) -> None:
    once = replace(registration("one"), once=Once("key", "asked"))
    batches: list[list[Command]] = [[once, Reset("one", "a"), once], [once, Reset("nobody", "a")]]
    for commands in batches:
        outcomes = play(database.transact(partial(run_batch, commands=commands))).outcomes
        assert isinstance(outcomes[0], Registered)
        assert outcomes[0].created
    assert tables.rows(EVENTS) == [("test", "register job", "one"), ("a", "reset job", "one")]


def test_a_transaction_that_fails_leaves_neither_the_job_nor_the_record(
    database: ServedDatabase, tables: Tables, play: Play
) -> None:
    def work(connection: Connection) -> None:
        run_batch(connection, [registration("lost")], utc_now())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        play(database.transact(work))
    assert tables.rows(EVENTS) == []
    assert tables.rows('SELECT * FROM "Job"') == []
