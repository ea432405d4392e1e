"""``batchbandit db check`` finds what is not as the trials make it, beside a service or without one."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest

from benchmarks.server import Server, running_server
from core.sums import MOST_REFITTED
from service.store import checking
from tests.service.talk import Api

PROGRAM = Path(sys.executable).parent / "batchbandit"
PRUNING, BORN, REFITTED = "job-pruning", "job-born", "job-refitted"
WINDOWED, SUMMED = "job-windowed", "job-summed"


def check(database_url: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [PROGRAM, "db", "check", "--database-url", database_url],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def fill(api: Api) -> None:
    """Register a job of each kind, and let it recur."""
    api.register(job_id=PRUNING)
    api.run(PRUNING)
    api.run(PRUNING, metric=0.1, current_epoch=10)
    api.trial(PRUNING)
    api.register(job_id=BORN)
    api.to_bandit(BORN, {8: 30_000.0, 16: 20_000.0, 32: 40_000.0})
    api.trial(BORN)
    for job_id, window in ((REFITTED, 0), (WINDOWED, 3)):
        api.register(job_id=job_id, window_size=window, num_pruning_rounds=0)
        trials = [api.trial(job_id) for _ in range(30)]
        for number, trial in enumerate(trials[::-1]):  # so that the last to end is not the newest
            api.report(trial, energy=20_000.0 + number**2)
        api.end(api.trial(job_id))
    api.register(job_id=SUMMED, batch_sizes=[16], num_pruning_rounds=0)
    for number in range(MOST_REFITTED + 4):
        api.run(SUMMED, time=100.0 + number % 7)


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    """Return a service of such jobs on a SQLite file."""
    with running_server() as server:
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
            fill(Api(http))
        yield server


@pytest.fixture
def file(served: Server, tmp_path: Path) -> Path:
    """Return a copy of the file."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(served.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def test_a_served_file_is_found_sound(served: Server) -> None:
    done = check(served.database_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("0 findings; 5 jobs, ")


@pytest.mark.parametrize(
    ("statement", "job_id", "said"),
    [
        ("UPDATE GaussianTsArmState SET param_mean = param_mean * (1 + 1e-15)", REFITTED, "is not what its"),
        ("UPDATE GaussianTsArmState SET param_precision = param_precision * 2", WINDOWED, "is not what its"),
        ("UPDATE GaussianTsArmState SET reward_precision = 7", BORN, "is not what its 2 results make"),
        (
            "UPDATE GaussianTsArmState SET num_observations = num_observations + 1",
            BORN,
            "counts 3 observations",
        ),
        ("UPDATE GaussianTsArmState SET param_mean = param_mean * (1 + 1e-11)", SUMMED, "running sums make"),
        ("UPDATE ArmSums SET te_low = te_low + 1e-9", SUMMED, "its running sums are not those"),
        ("UPDATE ArmSums SET num_results = num_results - 1", SUMMED, "its running sums are not those"),
        ("UPDATE ArmHistory SET results = zeroblob(length(results))", REFITTED, "are not its trials'"),
        ("UPDATE ArmHistory SET results = zeroblob(72)", WINDOWED, "are not its trials'"),
        ("UPDATE ArmHistory SET results = x'00'", REFITTED, "it cannot be read"),
        ("UPDATE Trial SET rationale = replace(rationale, '}', '')", REFITTED, "it cannot be read"),
        ("DELETE FROM GaussianTsArmState", REFITTED, "no arm is fitted on them"),
        ("DELETE FROM GaussianTsArmState", SUMMED, "has no arm"),
        ("UPDATE Trial SET energy = energy + 1 WHERE trial_number = 9 AND", REFITTED, "its trials'"),
        ("UPDATE Trial SET time = 0 WHERE trial_number = 1 AND", PRUNING, "has succeeded with time 0"),
        ("UPDATE Trial SET energy = 1e101 WHERE trial_number = 1 AND", PRUNING, "energy 1e+101 J"),
        ("UPDATE Trial SET type = 'Exploratiom' WHERE trial_number = 1 AND", PRUNING, "Exploratiom"),
        (
            "UPDATE Trial SET status = 'Failed' WHERE trial_number = 1 AND",
            PRUNING,
            "is Failed and has a result",
        ),
        (
            "UPDATE Trial SET energy_source = 'nvml' WHERE trial_number = 3 AND",
            PRUNING,
            "is Dispatched and has a result",
        ),
        ("UPDATE Trial SET epochs = 9 WHERE trial_number = 3 AND", PRUNING, "is Dispatched and has a result"),
        ("UPDATE Trial SET epochs = -1 WHERE trial_number = 1 AND", PRUNING, "epochs -1"),
        ("UPDATE Trial SET end_timestamp = NULL WHERE trial_number = 1 AND", PRUNING, "ended at None"),
        ("UPDATE Trial SET start_timestamp = 'noon' WHERE trial_number = 1 AND", PRUNING, "datetime"),
        ("UPDATE Trial SET trial_number = 40 WHERE trial_number = 1 AND", PRUNING, "trial 40 is above it"),
        ("DELETE FROM Trial WHERE trial_number = 2 AND", PRUNING, "trial 2 is missing"),
        ("UPDATE Job SET last_trial_number = last_trial_number - 1", PRUNING, "is above it"),
        ("UPDATE Job SET min_cost = min_cost / 2", PRUNING, "min_cost is"),
        ("UPDATE Job SET min_cost_batch_size = 8", PRUNING, "lowest cost"),
        ("UPDATE Job SET stage = 'MAB'", PRUNING, "has no arm"),
        ("UPDATE Job SET stage = 'Pruning'", BORN, "has arms"),
        ("UPDATE Job SET stage = 'pruning'", BORN, "Invalid enum value"),
        ("UPDATE Job SET mab_random_generator_state = '{}'", BORN, "random stream cannot be read"),
        ("UPDATE Job SET eta_knob = 1.5", PRUNING, "eta_knob is 1.5"),
        ("UPDATE Job SET default_batch_size = 17", PRUNING, "default_batch_size is 17"),
        ("UPDATE Job SET gpu_model = CAST(x'ff' AS TEXT)", PRUNING, "it cannot be read"),
        ("INSERT INTO DeletedJob SELECT job_id, 99 FROM Job", PRUNING, "trials up to 99 were given"),
        ("UPDATE Trial SET type = 'Exploration', status = 'Dispatched'", PRUNING, "are Dispatched at a time"),
        (
            "UPDATE Trial SET trial_number = 99999999999 WHERE trial_number = 1 AND",
            PRUNING,
            "999 is above it",
        ),
    ],
)
def test_what_is_wrong_is_found(file: Path, statement: str, job_id: str, said: str) -> None:
    condition = f" job_id = '{job_id}'" if statement.endswith("AND") else f" WHERE job_id = '{job_id}'"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        assert connection.execute(statement + condition).rowcount > 0
    findings: list[object] = []
    checking.check(f"sqlite+aiosqlite:///{file}", findings.append)
    said_all = [str(finding) for finding in findings]
    assert any(said in one for one in said_all), said_all
    assert all(one.startswith(f"job '{job_id}'") and "; " in one for one in said_all)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("detail = '{'", " cannot be read: Input data was truncated - in its detail; nobody is told of it"),
        ("kind = 'job_resett'", " cannot be read: Invalid enum value 'job_resett' - at `$.kind`; nobody"),
        (
            "timestamp = 'noon'",
            " cannot be read: Invalid RFC3339 encoded datetime - at `$.timestamp`; nobody",
        ),
        ("transaction_id = 'x'", " is of transaction x; restore"),
        ("job_id = 'unknown'", " is of this job, which there is not and has not been; restore"),
    ],
)
def test_an_event_that_is_damaged_is_found_and_named(file: Path, damage: str, said: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"UPDATE Event SET {damage} WHERE event_id = 3")  # noqa: S608  (above)
    done = check(f"sqlite+aiosqlite:///{file}")
    assert done.returncode == 1, done.stderr
    finding, _ = done.stdout.splitlines()
    where = "job 'unknown'" if "job_id" in damage else "database"
    assert finding.startswith(f"{where}: event 3{said}")


def test_findings_are_lines_and_an_exit_code(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE Job SET min_cost = 1 WHERE job_id = ?", (PRUNING,))
    done = check(f"sqlite+aiosqlite:///{file}")
    assert done.returncode == 1, done.stderr
    finding, summary = done.stdout.splitlines()
    assert finding.startswith(f"job '{PRUNING}', batch size 16: min_cost is 1.0 J")
    assert finding.endswith("; restore the database from a backup")
    assert summary.startswith("1 findings; 5 jobs, ")


def test_damage_and_rows_without_a_parent_are_found(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM BatchSize WHERE job_id = ?", (BORN,))
    done = check(f"sqlite+aiosqlite:///{file}")
    assert done.returncode == 1
    assert "belongs to no row of BatchSize" in done.stdout

    damaged = tmp_path / "damaged.db"
    shutil.copy(file, damaged)
    with closing(sqlite3.connect(file)) as connection:
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_Trial_results'")
        [(size,)] = connection.execute("PRAGMA page_size")
    data = bytearray(damaged.read_bytes())
    data[page * size - 2048 : page * size] = b"\xff" * 2048
    damaged.write_bytes(data)
    done = check(f"sqlite+aiosqlite:///{damaged}")
    assert done.returncode == 1
    assert "backup" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    missing = check(f"sqlite+aiosqlite:///{tmp_path / 'missing.db'}")
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "text.db").write_text("text\n" * 1000)
    text = check(f"sqlite+aiosqlite:///{tmp_path / 'text.db'}")
    assert text.returncode == 2
    assert "file is not a database" in text.stderr
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("CREATE TABLE t (c)")
    foreign = check(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
    assert foreign.returncode == 2
    assert "holds other tables" in foreign.stderr


@pytest.fixture
def on_postgres(new_postgres_url: Callable[[], str]) -> Iterator[Server]:
    """Return a service of its own on Postgres, to whose jobs nothing happens but what it does."""
    with running_server(new_postgres_url()) as server:
        yield server


def test_a_served_postgres_is_checked_too(on_postgres: Server) -> None:
    server = on_postgres
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        api = Api(http)
        job_id = api.register(num_pruning_rounds=0)["job_id"]
        for _ in range(5):
            api.run(job_id)
    before = check(server.database_url)
    assert before.returncode == 0, before.stdout + before.stderr
    lower = 'UPDATE "Job" SET min_cost = min_cost + 1'
    spoil = """UPDATE "Event" SET timestamp = 'infinity' WHERE kind = 'job_registered'"""
    asyncio.run(execute(server.database_url, lower, spoil))
    done = check(server.database_url)
    assert done.returncode == 1
    assert f"job '{job_id}', batch size" in done.stdout
    assert "cannot be read: Invalid RFC3339 encoded datetime - at `$.timestamp`; nobody" in done.stdout
    unreachable = check("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    assert unreachable.returncode == 2
    assert "cannot be used" in unreachable.stderr


async def execute(database_url: str, *statements: str) -> None:
    """Change what a Postgres keeps."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
