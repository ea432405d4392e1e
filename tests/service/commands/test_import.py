"""``batchbandit import-zeus``: jobs of a reference server come beside those of a service, all or none."""

import asyncio
import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from benchmarks.server import Server
from service.store import checking
from tests.service.commands.conftest import Run
from tests.service.tables import Tables
from tests.service.talk import Api

ZONE = "Europe/Berlin"


@pytest.fixture
def source(shared: Path, tmp_path: Path) -> Path:
    """Return a copy of the file that the reference wrote, each time under job names of its own."""
    file = tmp_path / "zeus.db"
    file.write_bytes(gzip.decompress((shared / "golden" / "reference.sqlite.gz").read_bytes()))
    return file


def renamed(source: Path, prefix: str) -> list[str]:
    """Give the jobs of a reference database other names; return them."""
    with closing(sqlite3.connect(source)) as connection, connection:
        tables = ("Job", "BatchSize", "GaussianTsArmState", "Trial")
        for table in tables:
            connection.execute(f"UPDATE {table} SET job_id = ? || job_id", (prefix,))  # noqa: S608  (constants)
        # With a seed, a random stream that cannot be read begins again as the same one each time.
        connection.execute("UPDATE Job SET job_id_prefix = ? || job_id_prefix, mab_seed = 1", (prefix,))
        return [job_id for (job_id,) in connection.execute("SELECT job_id FROM Job ORDER BY job_id")]


def import_from(run: Run, source: Path | str, server: Server, *options: str) -> dict[str, object]:
    """Import, and return what the command says."""
    done = run(
        "import-zeus",
        str(source),
        "--timezone",
        ZONE,
        "--database-url",
        server.database_url,
        "--json",
        *options,
    )
    assert done.code == 0, done.err
    said: dict[str, object] = json.loads(done.out)
    return said


def test_jobs_come_beside_those_of_a_running_service_and_go_on_there(
    run: Run, source: Path, own_server: Server, own_api: Api, own_tables: Tables
) -> None:
    before = own_api.register()["job_id"]
    names = renamed(source, "come-")
    bytes_before = source.read_bytes()
    said = import_from(run, source, own_server)
    assert said == {"jobs": names, "skipped": [], "num_trials": 461, "failed_trials": 0}
    assert source.read_bytes() == bytes_before
    for job_id in (before, names[0]):
        trial = own_api.trial(job_id)
        assert own_api.end(trial).status_code == 200
    findings: list[object] = []
    checking.check(own_server.database_url, findings.append)
    assert findings == []
    told = own_tables.rows("SELECT job_id FROM \"Event\" WHERE kind = 'job_registered' ORDER BY event_id")
    assert [job_id for (job_id,) in told if job_id in names] == names
    recorded = own_tables.rows("SELECT subject, actor FROM \"AuditEvent\" WHERE action = 'import job'")
    assert {(name, "command line") for name in names} <= set(recorded)


def test_what_comes_is_what_an_adoption_makes(
    run: Run, source: Path, own_server: Server, own_tables: Tables, tmp_path: Path
) -> None:
    names = renamed(source, "same-")
    with closing(sqlite3.connect(source)) as connection, connection:  # leases begin when they are given
        connection.execute(
            "UPDATE Trial SET status = 'Failed', end_timestamp = start_timestamp WHERE status = 'Dispatched'"
        )
    import_from(run, source, own_server)
    adopted = tmp_path / "adopted.db"
    shutil.copy(source, adopted)
    done = run("db", "adopt", "--timezone", ZONE, "--database-url", f"sqlite+aiosqlite:///{adopted}")
    assert done.code == 0, done.err
    with closing(sqlite3.connect(adopted)) as connection:
        for table in ("Job", "BatchSize", "GaussianTsArmState", "Trial"):
            wanted = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608  (constants)
            found = own_tables.rows(f"SELECT * FROM \"{table}\" WHERE job_id LIKE 'same-%'")  # noqa: S608
            assert sorted(map(plain, found), key=repr) == sorted(map(plain, wanted), key=repr)
    assert len(names) == 15


def plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Return a row with its times and booleans as both stores can have them."""
    return tuple(
        value.isoformat(" ", "microseconds")
        if isinstance(value, datetime)
        else int(value)
        if isinstance(value, bool)
        else value
        for value in row
    )


def test_names_that_are_taken_are_refused_and_nothing_comes_or_they_are_left_out(
    run: Run, source: Path, own_server: Server, own_api: Api, own_tables: Tables
) -> None:
    names = renamed(source, "twice-")
    own_api.register(job_id=names[0], job_id_prefix="")
    own_api.register(job_id=names[1], job_id_prefix="")
    assert own_api.delete(names[1]).status_code == 200
    before = own_tables.contents()
    refused = run("import-zeus", str(source), "--database-url", own_server.database_url)
    assert (refused.code, refused.out) == (2, "")
    assert names[0] in refused.err
    assert names[1] in refused.err  # whose numbers would come again
    assert "--skip-existing" in refused.err
    assert own_tables.contents() == before
    said = import_from(run, source, own_server, "--skip-existing")
    assert (said["jobs"], said["skipped"]) == (names[2:], names[:2])


@pytest.fixture
def postgres_source(shared: Path, source: Path, new_postgres_url: Callable[[], str]) -> tuple[str, list[str]]:
    """Return the URL of a Postgres database with what the file has, and the names of its jobs."""
    names = renamed(source, "pg-")
    url = new_postgres_url()
    asyncio.run(fill(url, (shared / "golden" / "schema-postgres.sql").read_text(), source))
    return url, names


async def fill(url: str, statements: str, source: Path) -> None:
    """Make the reference's tables, and copy a file's rows into them."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statements)
        with closing(sqlite3.connect(source)) as file:
            for table in ("Job", "BatchSize", "GaussianTsArmState", "Trial"):
                cursor = file.execute(f'SELECT * FROM "{table}"')  # noqa: S608  (constants)
                names = [column[0] for column in cursor.description]
                rows = [tuple(map(as_postgres, names, row)) for row in cursor]
                await connection.copy_records_to_table(table, records=rows, columns=names)
    finally:
        await connection.close()


def as_postgres(name: str, value: object) -> object:
    """Return a value of SQLite as Postgres keeps it."""
    if name.endswith("_timestamp") and isinstance(value, str):
        return datetime.fromisoformat(value)
    if name in {"converged", "higher_is_better_metric"} and value is not None:
        return bool(value)
    return value


def test_a_postgres_of_the_reference_is_a_source_too(
    run: Run, postgres_source: tuple[str, list[str]], own_server: Server, own_api: Api
) -> None:
    url, names = postgres_source
    existing = [name for name in names if own_api.suggest(name).status_code == 200]
    assert existing == []
    said = import_from(run, url, own_server)
    assert said == {"jobs": names, "skipped": [], "num_trials": 461, "failed_trials": 0}
    assert own_api.suggest(names[0]).status_code == 200
    findings: list[object] = []
    checking.check(own_server.database_url, findings.append)
    assert findings == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE Trial SET start_timestamp = 'noon' WHERE trial_number = 1", "not a local time"),
        ("UPDATE Trial SET type = 'Exploratiom' WHERE trial_number = 1", "cannot be read"),
        ("UPDATE Trial SET time = 'long' WHERE trial_number = 1", "cannot be read"),
        ("DELETE FROM BatchSize", "cannot be read"),
        ("DROP TABLE Trial", "holds other tables"),
    ],
)
def test_a_source_that_is_damaged_is_refused_and_nothing_comes(
    run: Run, source: Path, tmp_path: Path, statement: str, said: str
) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(statement)
    target = f"sqlite+aiosqlite:///{tmp_path / 'target.db'}"
    assert run("token", "create", "--role", "reader", "--database-url", target).code == 0
    done = run("import-zeus", str(source), "--database-url", target)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err) < 200
    with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
        assert connection.execute('SELECT count(*) FROM "Job"').fetchone() == (0,)


OUT_OF_RANGE = [
    ("Job SET mab_seed = -5, mab_random_generator_state = NULL", "mab_seed is -5, and may be from 0"),
    ("Job SET mab_seed = -5", "mab_seed is -5, and may be from 0 to 9223372036854775807"),
    ("Job SET eta_knob = 2", "eta_knob is 2.0, and may be from 0 to 1"),
    ("Job SET beta_knob = 0", "beta_knob is 0.0, and may be above 0"),
    ("Job SET target_metric = 1e308 * 10", "target_metric is inf, and may be"),
    ("Job SET max_epochs = 0", "max_epochs is 0, and may be from 1 to 2147483647"),
    ("Job SET max_power = -300", "max_power is -300.0, and may be above 0, up to 1e+100"),
    ("Job SET exp_default_batch_size = 17", "exp_default_batch_size is 17, and may be one of"),
    ("Job SET job_id_prefix = 'bert'", "job_id_prefix is 'bert', and may be what job_id begins with"),
    ("Trial SET trial_number = -1 WHERE trial_number = 1", "a trial_number is -1, and may be"),
    ("Trial SET start_timestamp = '0001-01-01 00:00:00'", "start_timestamp of trial 1 is 0001-01-01"),
]
NO_NUMBERS = [
    ("Job SET mab_seed = 'x', mab_random_generator_state = NULL", "got `str` - at `$.mab_seed`"),
    ("Job SET mab_seed = 1.5", "got `float` - at `$.mab_seed`"),
    ("Job SET max_epochs = 99999999999", "max_epochs is 99999999999, and may be"),
    ("Job SET max_epochs = 'many'", "got `str` - at `$.max_epochs`"),
    ("Trial SET trial_number = 99999999999 WHERE trial_number = 1", "a trial_number is 99999999999"),
    ("Job SET higher_is_better_metric = 7", "at `$.higher_is_better_metric`"),
    ("Job SET eta_knob = 'half'", "at `$.eta_knob`"),
    ("GaussianTsArmState SET param_precision = 'x'", "at `$.param_precision`"),
    ("Trial SET time = 'long'", "at `$.time`"),
    ("Trial SET type = 'Exploratiom'", "Invalid enum value 'Exploratiom' - at `$.type`"),
    ("Job SET gpu_model = hex(zeroblob(151))", "gpu_model is 302 characters long, and may be 300"),
]
"""What SQLite keeps in columns of numbers and short texts, and Postgres does not."""


@pytest.mark.parametrize(("damage", "said"), OUT_OF_RANGE + NO_NUMBERS)
def test_a_value_out_of_range_is_refused_by_name_whoever_reads_the_file(
    run: Run, source: Path, tmp_path: Path, damage: str, said: str
) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(f"UPDATE {damage}")
        (job_id,) = connection.execute("SELECT job_id FROM Job").fetchone()
    file = tmp_path / "target.db"
    target = f"sqlite+aiosqlite:///{file}"
    assert run("token", "create", "--role", "reader", "--database-url", target).code == 0
    before = source.read_bytes()
    imported = run("import-zeus", str(source), "--timezone", ZONE, "--database-url", target)
    adopted = run("db", "adopt", "--timezone", ZONE, "--database-url", f"sqlite+aiosqlite:///{source}")
    for done in (imported, adopted):
        assert (done.code, done.out) == (2, "")
        assert f"job '{job_id}'" in done.err
        assert said in done.err
        assert "correct it" in done.err
    assert source.read_bytes() == before
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute('SELECT count(*) FROM "Job"').fetchone() == (0,)
        assert connection.execute('SELECT count(*) FROM "Event"').fetchone() == (0,)


def test_a_value_out_of_range_in_a_postgres_is_refused_by_name(
    run: Run, postgres_source: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, names = postgres_source
    target = f"sqlite+aiosqlite:///{tmp_path / 'target.db'}"
    assert run("token", "create", "--role", "reader", "--database-url", target).code == 0
    seed = 'UPDATE "Job" SET mab_seed = $1 WHERE job_id = $2'
    asyncio.run(execute(url, seed, -5, names[3]))
    for asked in (("import-zeus", url, "--database-url", target), ("db", "adopt", "--database-url", url)):
        done = run(*asked)
        assert (done.code, done.out) == (2, "")
        assert f"of job '{names[3]}', mab_seed is -5, and may be from 0" in done.err
    asyncio.run(execute(url, seed, 5, names[3]))
    assert run("db", "adopt", "--database-url", url).code == 0  # it was left as it had been


async def execute(url: str, statement: str, *values: object) -> None:
    """Run a statement on a Postgres database."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


def test_a_source_or_a_target_that_is_not_there_is_refused_and_not_made(
    run: Run, source: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.db"
    url = f"sqlite+aiosqlite:///{missing}"
    assert "does not exist" in run("import-zeus", str(source), "--database-url", url).err
    assert "does not exist" in run("import-zeus", str(missing), "--database-url", url).err
    assert not missing.exists()
    adopted = run("import-zeus", str(source), "--timezone", "Mars/Olympus", "--database-url", url)
    assert adopted.code == 2
    assert "there is no time zone" in adopted.err


def test_results_that_cannot_be_costed_come_as_failed_trials(run: Run, source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        changed = connection.execute(
            "UPDATE Trial SET energy = 1e300 WHERE status = 'Succeeded' AND trial_number = 9"
        ).rowcount
    target = f"sqlite+aiosqlite:///{tmp_path / 'target.db'}"
    assert run("token", "create", "--role", "reader", "--database-url", target).code == 0
    done = run("import-zeus", str(source), "--database-url", target)
    assert done.code == 0, done.err
    assert f"out of range: {changed}." in done.out
    assert run("db", "check", "--database-url", target).code == 0
