"""The revisions: the first is the reference's schema, all of them together are the metadata."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from service.store import revision, schema
from service.store.opening import parsed
from service.store.postgres import run_once
from service.store.sqlite import writing_engine

Transaction = Callable[[], AbstractContextManager[Connection]]

# The columns that 0002 widens on Postgres alone: SQLite holds any length and width as they are.
WIDENED = {("Job", "gpu_model"), ("Job", "mab_seed"), ("Trial", "job_id"), ("GaussianTsArmState", "job_id")}


def definitions(connection: sqlite3.Connection, kind: str) -> dict[str, str]:
    """Return the SQL behind the names of a kind, its whitespace normalised."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL", (kind,)
    )
    return {name: re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())) for name, sql in rows}


def test_the_first_revision_is_exactly_the_references_schema(golden: Path, older: Path) -> None:
    with closing(sqlite3.connect(older)) as ours, closing(sqlite3.connect(":memory:")) as theirs:
        theirs.executescript((golden / "schema-sqlite.sql").read_text())
        tables = definitions(ours, "table")
        del tables[revision.VERSION_TABLE]
        assert tables == definitions(theirs, "table")
        assert definitions(ours, "index") == definitions(theirs, "index") == {}


def test_the_first_revision_is_exactly_the_schema_of_a_database_that_the_reference_wrote(
    reference: Path, older: Path
) -> None:
    with closing(sqlite3.connect(older)) as ours, closing(sqlite3.connect(reference)) as theirs:
        tables = definitions(ours, "table")
        del tables[revision.VERSION_TABLE]
        assert tables == definitions(theirs, "table")


def test_the_revisions_together_make_the_metadata(transaction: Transaction) -> None:
    with transaction() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": revision.VERSION_TABLE, "compare_server_default": True}
        )
        differences: list[Any] = compare_metadata(context, schema.metadata)
        widened = WIDENED if connection.dialect.name == "sqlite" else set()
    found = set()
    for difference in differences:
        [(kind, _, table, column, *_)] = difference
        assert kind == "modify_type", difference
        found.add((table, column))
    assert found == widened


def test_the_indexes_of_the_revisions_are_those_of_the_metadata_with_their_conditions(
    transaction: Transaction,
) -> None:
    with transaction() as connection:
        migrated = indexes(connection)
        assert migrated
        for table in schema.metadata.sorted_tables:
            for index in table.indexes:
                index.drop(connection)
                index.create(connection)
        assert indexes(connection) == migrated
    assert all("WHERE" in index for index in migrated if "ix_Trial" in index)


def indexes(connection: Connection) -> list[str]:
    """Return the definitions of the indexes that are not a constraint's."""
    queries = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'ix%'",
    }
    found = connection.exec_driver_sql(queries[connection.dialect.name]).scalars()
    return sorted(re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())) for sql in found)


def test_the_first_revision_is_exactly_the_references_schema_on_postgres(
    golden: Path, new_postgres_url: Callable[[], str]
) -> None:
    def create_ours(connection: Connection) -> None:
        revision.upgrade(connection, revision.REFERENCE_REVISION)
        connection.exec_driver_sql(f"DROP TABLE {revision.VERSION_TABLE}")

    def create_theirs(connection: Connection) -> None:
        for statement in (golden / "schema-postgres.sql").read_text().split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)

    ours, theirs = (
        run_once(parsed(new_postgres_url()), partial(described, create))
        for create in (create_ours, create_theirs)
    )
    assert ours == theirs
    assert set(theirs) == set(revision.REFERENCE_COLUMNS)


def described(create: Callable[[Connection], None], connection: Connection) -> dict[str, Any]:
    """Create tables, and return their columns and constraints."""
    create(connection)
    inspector = sa.inspect(connection)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            sorted(inspector.get_foreign_keys(table), key=str),
        )
        for table in inspector.get_table_names()
    }


@pytest.fixture
def inhabited(older: Path) -> Path:
    """Return a database at the first revision: a seeded job of three trials, two jobs without a stream."""
    stream = json.dumps(np.random.default_rng(7).bit_generator.state)
    with closing(sqlite3.connect(older)) as connection, connection:
        for job_id, state in (("seeded", stream), ("streamless", None), ("idle", None)):
            connection.execute(
                """INSERT INTO "Job" VALUES (?, 'p', 64, 1, 0.5, NULL, 0.5, 100, 2, 0, 250.0, 1, 'A40',
                0.0, 0.0, 2, NULL, ?, 64, 'Pruning', NULL, 64)""",
                (job_id, state),
            )
            connection.execute('INSERT INTO "BatchSize" VALUES (?, 64)', (job_id,))
        for job_id, number in (("seeded", 3), ("seeded", 1), ("seeded", 12), ("streamless", 2)):
            connection.execute(
                """INSERT INTO "Trial" VALUES (?, 64, ?, '2026-01-02 03:04:05.678901', 'Exploration',
                'Failed', NULL, NULL, NULL, NULL)""",
                (job_id, number),
            )
    return older


def test_what_the_first_revision_held_is_in_the_second(inhabited: Path) -> None:
    with closing(sqlite3.connect(inhabited)) as before:
        rows = {
            table: before.execute(f'SELECT * FROM "{table}" ORDER BY 1, 2, 3').fetchall()  # noqa: S608  (a table's own name)
            for table in ("Job", "Trial")
        }
    engine = writing_engine(inhabited)
    with engine.begin() as connection:
        revision.upgrade(connection, "0002")
    engine.dispose()

    with closing(sqlite3.connect(inhabited)) as after:
        assert after.execute('SELECT * FROM "Trial" ORDER BY 1, 2, 3').fetchall() == rows["Trial"]
        after.row_factory = sqlite3.Row
        jobs = {row["job_id"]: tuple(row) for row in after.execute('SELECT * FROM "Job" ORDER BY 1')}
        states = dict(
            tuple(row) for row in after.execute('SELECT job_id, mab_random_generator_state FROM "Job"')
        )
    assert {job_id: row[-1] for job_id, row in jobs.items()} == {"seeded": 12, "streamless": 2, "idle": 0}

    def but_for_the_stream(row: tuple[object, ...]) -> tuple[object, ...]:
        return row[:17] + row[18:22]

    assert [but_for_the_stream(row) for row in jobs.values()] == [
        but_for_the_stream(row) for row in rows["Job"]
    ]
    assert json.loads(states["seeded"]) == np.random.default_rng(7).bit_generator.state
    assert states["streamless"] != states["idle"]
    for state in states.values():
        np.random.PCG64().state = json.loads(state)
