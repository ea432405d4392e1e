"""The partitioned schema: the same tables, the same service, and plans that go to a job's partition."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql

from benchmarks.load import run_load
from benchmarks.server import running_server
from service.store import adoption, revision, schema
from service.store.opening import parsed
from service.store.postgres import run_once
from service.store.queries import PostgresKeys, Queries
from service.store.revision import State
from tests.service.tables import open_tables

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
PARTITIONS = 4


def create(url: str, partitions: int = PARTITIONS) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [PROGRAM, "db", "create", "--partitions", str(partitions), "--database-url", url]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def url(new_postgres_url: Callable[[], str]) -> str:
    """Return the URL of a partitioned database."""
    made = new_postgres_url()
    done = create(made)
    assert done.returncode == 0, done.stderr
    return made


def described(connection: Connection) -> dict[str, Any]:
    """Return the columns, keys and indexes of the schema's tables."""
    inspector = sa.inspect(connection)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            # Postgres lists a key to a partitioned table once more for each of its partitions.
            sorted(
                (key["constrained_columns"], key["referred_table"])
                for key in inspector.get_foreign_keys(name)
                if key["referred_table"] in schema.metadata.tables
            ),
            sorted((i["name"], i["column_names"]) for i in inspector.get_indexes(name)),
        )
        for name in schema.metadata.tables
    }


def oldest_served(connection: Connection) -> str:
    """Return the oldest revision whose release can serve the tables."""
    return str(connection.execute(sa.select(schema.compatibility.c.oldest_revision)).scalar_one())


def test_the_tables_are_those_of_the_plain_schema(url: str, new_postgres_url: Callable[[], str]) -> None:
    plain = parsed(new_postgres_url())
    run_once(plain, revision.upgrade)
    assert run_once(parsed(url), described) == run_once(plain, described)
    assert run_once(parsed(url), revision.state_of) is State.CURRENT
    assert run_once(parsed(url), oldest_served) == run_once(plain, oldest_served)


def test_one_of_the_release_before_is_upgraded(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    create(url)
    made = run_once(parsed(url), described)

    def go_back(connection: Connection) -> None:
        counts = ("num_converged", "num_unconverged", "num_failed", "num_default", "last_activity")
        sums = ("spent_time", "spent_energy", "default_time", "default_energy")
        for column in (
            *counts,
            *sums,
            "policy",
            "is_paused",
            "registered",
            "knowledge",
            "warm_start_from",
            "num_drifts",
        ):
            connection.exec_driver_sql(f'ALTER TABLE "Job" DROP COLUMN {column}')
        for column in ("rationale", "curve", "epochs", "drifted_from"):
            connection.exec_driver_sql(f'ALTER TABLE "Trial" DROP COLUMN {column}')
        for index in ("ix_Trial_failed", "ix_Trial_missed", "ix_Job_job_id_prefix"):
            connection.exec_driver_sql(f'DROP INDEX "{index}"')
        connection.exec_driver_sql('DROP TABLE "Event"')
        connection.exec_driver_sql("UPDATE batchbandit_version SET version_num = '0007'")

    run_once(parsed(url), go_back)
    assert adoption.upgrade(url) is not None
    assert run_once(parsed(url), described) == made


def test_the_service_serves_it_and_jobs_spread_over_the_partitions(url: str) -> None:
    with running_server(url) as server:
        result = asyncio.run(run_load(server.url, connections=16, jobs=16, seconds=6, warmup=0))
    assert {name: e.errors for name, e in result.endpoints.items() if e.errors} == {}
    assert result.total.requests > 10
    with open_tables(url) as tables:
        for table in ("Job", "Trial", "GaussianTsArmState"):
            counts = [
                tables.rows(f'SELECT count(*) FROM "{table}_p{number}"')[0][0]  # noqa: S608  (constants)
                for number in range(PARTITIONS)
            ]
            # Sixteen jobs are worked on: by chance all may miss a partition, hardly all but one.
            assert sum(map(bool, counts)) > 1
            assert tables.rows(f'SELECT count(*) FROM "{table}"') == [(sum(counts),)]  # noqa: S608  (a constant)


@pytest.mark.parametrize(
    ("name", "partitions"),
    [
        ("trials", 1),
        ("results", 1),
        ("sums", 1),
        ("jobs", PARTITIONS),
        ("arms", PARTITIONS),
        ("explorations", PARTITIONS),
    ],
)
def test_what_grows_is_read_in_one_partition_and_the_rest_by_the_index_of_each(
    url: str, name: str, partitions: int
) -> None:
    dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]
    statement = str(getattr(Queries(PostgresKeys()), name).compile(dialect=dialect))
    arguments = "ARRAY['load-1'], ARRAY[64]" if "unnest" in statement else "ARRAY['load-1']"
    if "$3" in statement:
        arguments = f"1, {arguments}"
    nodes = run_once(parsed(url), partial(executed, statement=statement, arguments=arguments))
    scans = [node for node in nodes if "Relation Name" in node and node["Actual Loops"]]
    # A job's own row says since which trial they count.
    read = {node["Relation Name"] for node in scans if not node["Alias"].startswith("counting")}
    assert len(read) == partitions
    assert all("Seq Scan" not in node["Node Type"] for node in scans)


def executed(connection: Connection, statement: str, arguments: str) -> list[dict[str, Any]]:
    """Return the nodes of a plan for any parameters, as it was executed."""
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    connection.exec_driver_sql(f"PREPARE asked AS {statement}")
    asked = f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({arguments})"
    [explained] = connection.exec_driver_sql(asked).scalar()  # type: ignore[misc]
    waiting, nodes = [explained["Plan"]], []
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.get("Plans", [])
    return nodes


def test_only_an_empty_postgres_is_partitioned(url: str, tmp_path: Path) -> None:
    again = create(url)
    assert again.returncode == 2
    assert "partitions are made in an empty database" in again.stderr
    file = create(f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}")
    assert file.returncode == 2
    assert "only Postgres has partitions" in file.stderr
    assert create(url, 0).returncode == 2
    assert create(url, 65).returncode == 2
