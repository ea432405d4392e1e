"""A SQLite file that is damaged: refused at the start with a sentence, found by ``db check``, or harmless."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import httpx
import pytest
from rich.table import Table

from benchmarks.server import start, stop
from service.errors import OpeningError
from service.store import checking
from service.store.databases import open_database
from tests.faults.harness import LONG, Service, check, run, serving
from tests.faults.pages import flipped, regions
from tests.service.tables import TABLES
from tests.service.talk import Api

FLIPS = 3_000 if LONG else 100
"""In each region."""
RESULTS = 260
"""Enough for an arm to live on its sums."""
REFUSED, HARMLESS, FOUND, SILENT = "refused at start", "harmless", "found by db check", "not found"

Contents = dict[str, list[tuple[object, ...]] | str]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that the service wrote: jobs in each stage, arms of each kind, deleted ones."""
    server = start(tmp_path_factory.mktemp("written"))
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        api = Api(http)
        for changes in ({}, {"num_pruning_rounds": 0}, {"num_pruning_rounds": 0, "window_size": 5}):
            for recurrences in (1, 30):
                job_id = api.register(**changes)["job_id"]
                for number in range(recurrences):
                    api.run(job_id, energy=20_000.0 + number)
        lone = {"batch_sizes": [16], "num_pruning_rounds": 0}
        job_id = api.register(**lone)["job_id"]
        for number in range(RESULTS):
            api.run(job_id, time=100.0 + number % 7)
        api.trial(job_id)
        assert api.delete(api.register()["job_id"]).status_code == 200
    assert stop(server) == 0
    assert check(server.database_url).returncode == 0
    return server.database


def contents(file: Path) -> Contents:
    """Return all rows of all tables as SQL gives them, or why it does not."""
    found: Contents = {}
    with closing(sqlite3.connect(file)) as connection:
        for table in (*TABLES, "Event"):
            try:
                found[table] = connection.execute(f'SELECT * FROM "{table}" NOT INDEXED').fetchall()  # noqa: S608
            except sqlite3.Error as error:
                found[table] = str(error)
    return found


def outcome(file: Path, pristine: Contents) -> str:
    """Return what becomes of a damaged file; hold that one which is refused stays as it is."""
    url = f"sqlite+aiosqlite:///{file}"
    before = file.read_bytes()
    try:
        asyncio.run(open_database(url).close())
    except OpeningError:
        assert file.read_bytes() == before, "what is refused is not touched"
        return REFUSED
    now = contents(file)
    if now == pristine:
        return HARMLESS
    findings: list[object] = []
    checking.check(url, findings.append)
    if findings:
        return FOUND
    assert sum(map(differing_rows, now.values(), pristine.values())) == 1, "one value is another one"
    return SILENT


def differing_rows(now: list[tuple[object, ...]] | str, before: list[tuple[object, ...]] | str) -> int:
    """Return how many rows of a table differ; it has as many as before."""
    assert len(now) == len(before)
    return sum(one != other for one, other in zip(now, before, strict=True))


def test_a_flipped_bit_is_refused_or_found_or_harmless(
    written: Path, tmp_path: Path, print_at_end: Callable[[Table], None]
) -> None:
    chance = Random(4)
    data, pristine = written.read_bytes(), contents(written)
    file = tmp_path / "flipped.db"
    table = Table(
        "where", "flips", REFUSED, HARMLESS, FOUND, SILENT, title="Flipped bits", title_justify="left"
    )
    for region, offsets in regions(written).items():
        outcomes: Counter[str] = Counter()
        for offset in offsets if len(offsets) <= FLIPS else chance.sample(offsets, FLIPS):
            for leftover in tmp_path.iterdir():
                leftover.unlink()
            file.write_bytes(flipped(data, offset, chance.randrange(8)))
            outcomes[outcome(file, pristine)] += 1
        counts = (outcomes[kind] for kind in (REFUSED, HARMLESS, FOUND, SILENT))
        table.add_row(region, str(outcomes.total()), *map(str, counts))
        assert not outcomes[SILENT] or region == "content", "structure is never served damaged"
    print_at_end(table)


def refusal(file: Path) -> str:
    """Return the sentence with which a file is refused."""
    before = file.read_bytes()
    refused = run("serve", "--port", "0", "--database-url", f"sqlite+aiosqlite:///{file}")
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.startswith(f"Error: {file} ")
    assert file.read_bytes() == before
    return refused.stderr


@pytest.mark.parametrize("keep", [1, 99, 512, 4096, 4097, -4096, -1])
def test_a_truncated_file_is_refused(written: Path, tmp_path: Path, keep: int) -> None:
    file = tmp_path / "truncated.db"
    file.write_bytes(written.read_bytes()[:keep])
    assert "backup" in refusal(file) or keep < 512


@pytest.mark.parametrize("cut", [512, 1024, 2048])
def test_a_file_that_ends_within_a_page_is_refused(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "overflowing.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE blobs (blob BLOB)")
        connection.execute("INSERT INTO blobs VALUES (?)", (bytes(9000),))
        connection.commit()
    file.write_bytes(file.read_bytes()[:-cut])
    assert "ends within a page" in refusal(file)


def test_a_damaged_header_schema_or_tree_is_refused_by_the_command(written: Path, tmp_path: Path) -> None:
    data = written.read_bytes()
    page = int.from_bytes(data[16:18], "big")
    schema = data.index(b"CREATE TABLE")
    for offset in (0, 18, 100, schema, schema + 20, page, page + 4):
        file = tmp_path / f"flipped-{offset}.db"
        file.write_bytes(flipped(data, offset, 2))
        refusal(file)


def test_an_emptied_file_beside_its_log_is_refused(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with serving(service):
        shutil.copytree(tmp_path, tmp_path / "copy")
    file = tmp_path / "copy" / service.database.name
    log = file.with_name(f"{file.name}-wal")
    kept = log.read_bytes()
    assert kept
    file.write_bytes(b"")
    assert "-wal" in refusal(file)
    assert log.read_bytes() == kept


def test_a_log_that_a_kill_left_is_read(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with serving(service):
        assert service.serves()
        service.kill()
        assert service.database.with_name(f"{service.database.name}-wal").stat().st_size > 0
        assert check(service.database_url).returncode == 0
        service.start()
        assert service.serves()
    with closing(sqlite3.connect(service.database)) as connection:
        assert connection.execute('SELECT count(*) FROM "Trial"').fetchone() == (2,)


JOURNAL_AND_DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = DELETE")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute('UPDATE "Job" SET gpu_model = hex(zeroblob(1000000))')
connection.execute('DELETE FROM "Trial"')
os.kill(os.getpid(), 9)
"""


def test_a_transaction_that_a_kill_ended_is_rolled_back(written: Path, tmp_path: Path) -> None:
    file = tmp_path / "killed.db"
    shutil.copy(written, file)
    pristine = contents(file)
    died = subprocess.run([sys.executable, "-c", JOURNAL_AND_DIE, file], check=False)
    assert died.returncode == -signal.SIGKILL
    assert os.path.getsize(f"{file}-journal") > 0  # noqa: PTH202
    asyncio.run(open_database(f"sqlite+aiosqlite:///{file}").close())
    assert contents(file) == pristine
