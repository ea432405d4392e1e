"""``db check`` finds counts that are not those of the trials, and ``db recount`` makes them so."""

import asyncio
import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.server import Server
from core.records import Job
from tests.service.commands.conftest import Run
from tests.service.tables import Tables
from tests.service.talk import Api

COUNTED = Job.__struct_fields__[Job.__struct_fields__.index("num_converged") :]


async def change(url: str, statement: str, **parameters: object) -> None:
    """Change what a database keeps."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text(statement), parameters)
    finally:
        await engine.dispose()


def counts(tables: Tables, job_id: str) -> dict[str, Any]:
    """Return what is counted of a job, its last activity aside."""
    names = [name for name in COUNTED if name != "last_activity"]
    [row] = tables.rows(f'SELECT {", ".join(names)} FROM "Job" WHERE job_id = :job_id', job_id=job_id)  # noqa: S608
    return dict(zip(names, row, strict=True))


def test_counts_that_are_wrong_are_found_and_made_right_beside_the_service(
    run: Run, own_server: Server, own_api: Api, own_tables: Tables
) -> None:
    job_id = own_api.register()["job_id"]
    for energy in (20_000.0, 0.1, 0.2):
        own_api.run(job_id, energy=energy)
    own_api.run(job_id, metric=0.1, current_epoch=10)
    own_api.end(own_api.trial(job_id))
    own_api.trial(job_id)
    before = counts(own_tables, job_id)
    assert (before["num_converged"], before["num_unconverged"], before["num_failed"]) == (3, 1, 1)
    at = ("--database-url", own_server.database_url)
    assert run("db", "check", *at).code == 0

    wrong = ", ".join(f"{name} = {name} + 1" for name in before)
    statement = f'UPDATE "Job" SET {wrong}, last_activity = NULL WHERE job_id = :id'  # noqa: S608  (constants)
    asyncio.run(change(own_server.database_url, statement, id=job_id))
    found = run("db", "check", "--json", *at)
    assert found.code == 1
    findings = json.loads(found.out)["findings"]
    assert {finding["what"].split()[0] for finding in findings} == set(COUNTED)
    assert all(
        finding["job_id"] == job_id and "batchbandit db recount" in finding["remedy"] for finding in findings
    )

    done = run("db", "recount", "--json", *at)
    assert done.code == 0, done.err
    assert json.loads(done.out)["jobs"] >= 1
    assert counts(own_tables, job_id) == pytest.approx(before)
    assert run("db", "check", *at).code == 0
    own_api.run(job_id)
    assert counts(own_tables, job_id)["num_converged"] == 4


def test_sums_that_are_apart_by_rounding_alone_are_not_found(
    run: Run, own_server: Server, own_api: Api
) -> None:
    job_id = own_api.register()["job_id"]
    own_api.run(job_id)
    at = ("--database-url", own_server.database_url)
    nudge = 'UPDATE "Job" SET spent_energy = spent_energy * (1 + CAST(:part AS FLOAT)) WHERE job_id = :id'
    asyncio.run(change(own_server.database_url, nudge, part=1e-10, id=job_id))
    assert run("db", "check", *at).code == 0
    asyncio.run(change(own_server.database_url, nudge, part=1e-8, id=job_id))
    assert run("db", "check", *at).code == 1
    assert run("db", "recount", *at).code == 0
    assert run("db", "check", *at).code == 0


def test_a_recount_of_no_database_is_refused(run: Run, tmp_path: object) -> None:
    done = run("db", "recount", "--database-url", f"sqlite+aiosqlite:///{tmp_path}/missing.db")
    assert (done.code, done.out) == (2, "")
    assert "does not exist" in done.err
