"""``batchbandit db backup`` copies a file that is being written to, whole or not at all."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from benchmarks.load import run_load
from benchmarks.server import Server, start, stop
from tests.service.talk import Api

PROGRAM = Path(sys.executable).parent / "batchbandit"


def db(command: str, database_url: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a database."""
    return subprocess.run(
        [PROGRAM, "db", command, "--database-url", database_url, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_backup_under_load_is_whole_and_can_be_served(server: Server, api: Api, tmp_path: Path) -> None:
    job_id = api.register(num_pruning_rounds=0)["job_id"]
    api.run(job_id)
    load = run_load(server.url, connections=8, jobs=4, seconds=3, warmup=0)
    loading = threading.Thread(target=asyncio.run, args=(load,))
    loading.start()
    copies = [tmp_path / f"batchbandit-{number}.db" for number in range(2)]
    for copy in copies:
        done = db("backup", server.database_url, copy)
        assert done.returncode == 0, done.stderr
        assert str(copy) in done.stdout
    loading.join()
    assert sorted(tmp_path.iterdir()) == copies, "one file each and nothing beside it"
    for copy in copies:
        checked = db("check", f"sqlite+aiosqlite:///{copy}")
        assert checked.returncode == 0, checked.stdout
    again = start(tmp_path, f"sqlite+aiosqlite:///{copies[0]}")
    try:
        with httpx.Client(base_url=again.url, trust_env=False) as http:
            assert Api(http).trial(job_id)["trial_number"] == 2
    finally:
        stop(again)


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_target_that_cannot_be_had_is_said(server: Server, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("mine")
    for target, said in ((there, "exists"), (tmp_path / "missing" / "copy.db", "cannot be written")):
        refused = db("backup", server.database_url, target)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert there.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [there]


def test_a_damaged_or_missing_file_is_not_copied(tmp_path: Path) -> None:
    file, copy = tmp_path / "damaged.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (c PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{number:0100}",) for number in range(1000)])
        connection.commit()
    data = bytearray(file.read_bytes())
    data[-4096:] = bytes(4096)
    file.write_bytes(data)
    refused = db("backup", f"sqlite+aiosqlite:///{file}", copy)
    assert refused.returncode == 2
    assert "restore it from a backup" in refused.stderr
    assert list(tmp_path.iterdir()) == [file]
    assert "does not exist" in db("backup", f"sqlite+aiosqlite:///{tmp_path / 'none.db'}", copy).stderr


def test_postgres_is_left_to_pg_dump(tmp_path: Path) -> None:
    refused = db("backup", "postgresql+asyncpg://user@127.0.0.1/database", tmp_path / "copy.db")
    assert refused.returncode == 2
    assert "pg_dump" in refused.stderr
