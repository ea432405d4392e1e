"""Which databases are served, and in which sentence the others are refused."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from service.errors import OpeningError
from service.store import sqlite
from service.store.databases import open_database
from service.store.lock import LockFile
from service.store.opening import parsed
from service.store.sqlite import SQLiteDatabase

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
UrlOf = Callable[[Path], str]


@pytest.fixture
def refusal(url_of: UrlOf) -> Callable[[Path], str]:
    """Return what opens a file that is to be refused, and gives the sentence."""

    def refused(file: Path) -> str:
        with pytest.raises(OpeningError) as error:
            SQLiteDatabase.open(parsed(url_of(file)))
        LockFile(file).acquire()  # a refusal has let the lock go
        return str(error.value)

    return refused


Refusal = Callable[[Path], str]


VERSION = "SELECT version_num FROM batchbandit_version"


def ask(file: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()


def change(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def test_a_new_file_is_created_at_head(file: Path, serve: Serve, head: str) -> None:
    with serve(file):
        assert ask(file, VERSION) == [(head,)]
        assert ask(file, 'SELECT count(*) FROM "Job"') == [(0,)]


def test_a_served_file_is_in_wal_mode_with_full_synchronisation(file: Path, serve: Serve) -> None:
    with serve(file) as database:
        assert ask(file, "PRAGMA journal_mode") == [("wal",)]
        full = 2
        assert (
            asyncio.run(database.transact(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar())) == full
        )
        assert (
            asyncio.run(database.transact(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar())) == 1
        )


@pytest.mark.parametrize("script", ["", "CREATE TABLE alembic_version (version_num VARCHAR(32))"])
def test_an_empty_database_is_created_at_head(file: Path, serve: Serve, head: str, script: str) -> None:
    file.touch()
    change(file, script)
    with serve(file):
        assert ask(file, VERSION) == [(head,)]


def test_a_database_is_opened_again_with_what_it_holds(file: Path, serve: Serve) -> None:
    for _ in range(2):
        with serve(file):
            pass
        change(file, "INSERT OR IGNORE INTO \"DeletedJob\" VALUES ('kept', 7)")
    with serve(file):
        assert ask(file, 'SELECT * FROM "DeletedJob"') == [("kept", 7)]


def test_a_database_of_an_older_release_is_refused_untouched(older: Path, refusal: Refusal) -> None:
    before = older.read_bytes()
    assert (
        f"is at an older revision; run: batchbandit db upgrade --database-url sqlite+aiosqlite:///{older}"
        in (refusal(older))
    )
    assert older.read_bytes() == before


def test_a_database_of_a_later_release_is_served_where_its_tables_still_fit(file: Path, serve: Serve) -> None:
    with serve(file):
        pass
    change(file, "UPDATE batchbandit_version SET version_num = '9999'")
    with serve(file):
        assert ask(file, VERSION) == [("9999",)]


def test_a_database_of_a_later_release_whose_tables_no_longer_fit_is_refused(
    file: Path, serve: Serve, refusal: Refusal
) -> None:
    with serve(file):
        pass
    change(
        file,
        "UPDATE batchbandit_version SET version_num = '9999'; "
        "UPDATE \"Compatibility\" SET oldest_revision = '9998'",
    )
    sentence = refusal(file)
    assert "is at a revision that this release does not know; a newer release wrote it" in sentence
    assert ask(file, VERSION) == [("9999",)]


def test_a_database_of_the_reference_is_refused_byte_for_byte_untouched(
    reference: Path, refusal: Refusal
) -> None:
    before = reference.read_bytes()
    sentence = refusal(reference)
    assert "was made by the reference server; run: batchbandit db adopt [--timezone TZ]" in sentence
    assert str(reference) in sentence
    assert reference.read_bytes() == before
    assert {path.name for path in reference.parent.iterdir()} == {"reference.db", "reference.db.lock"}


FOREIGN = [
    'CREATE TABLE "Customer" (id INTEGER)',
    'CREATE TABLE "Job" (job_id VARCHAR(400)); CREATE TABLE "BatchSize" (job_id VARCHAR(400))',
    "CREATE TABLE batchbandit_version (version_num VARCHAR(32))",
]


@pytest.mark.parametrize("script", FOREIGN)
def test_other_tables_are_refused_untouched(file: Path, refusal: Refusal, script: str) -> None:
    change(file, script)
    before = file.read_bytes()
    assert "holds other tables; use another --database-url" in refusal(file)
    assert file.read_bytes() == before


def test_the_references_tables_with_another_column_are_foreign(reference: Path, refusal: Refusal) -> None:
    change(reference, 'ALTER TABLE "Trial" ADD COLUMN mood TEXT')
    assert "holds other tables" in refusal(reference)


def test_a_file_that_is_no_database_is_refused_untouched(file: Path, refusal: Refusal) -> None:
    file.write_text("dear diary, " * 100)
    assert "file is not a database); name a SQLite file, or one that does not exist yet" in refusal(file)
    assert file.read_text() == "dear diary, " * 100


def test_a_folder_is_refused(file: Path, refusal: Refusal) -> None:
    file.mkdir()
    assert "cannot be opened" in refusal(file)


def test_a_missing_folder_is_refused(tmp_path: Path, url_of: UrlOf) -> None:
    with pytest.raises(OpeningError, match="the database's folder must exist and be writable"):
        SQLiteDatabase.open(parsed(url_of(tmp_path / "missing" / "batchbandit.db")))
    assert not (tmp_path / "missing").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any folder")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, url_of: UrlOf) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OpeningError, match="must exist and be writable"):
        SQLiteDatabase.open(parsed(url_of(folder / "batchbandit.db")))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+asyncpg://host:port/database", "is not a database URL"),
        ("mysql://host/database", "SQLite and Postgres are served, not mysql"),
        ("sqlite+aiosqlite:///:memory:", "must be a plain file"),
        ("sqlite://", "must be a plain file"),
        ("sqlite+aiosqlite:///file:batchbandit.db?uri=true", "must be a plain file"),
        ("", "is not a database URL"),
        ("batchbandit.db", "is not a database URL"),
        ("http:/nonsense", "is not a database URL"),
    ],
)
def test_what_names_no_database_is_refused_with_what_to_write(url: str, sentence: str) -> None:
    with pytest.raises(OpeningError) as refused:
        open_database(url)
    assert sentence in str(refused.value)
    assert "write sqlite+aiosqlite:///FILE" in str(refused.value)


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN; SELECT count(*) FROM DeletedJob"])
def test_a_file_that_another_program_holds_is_refused(
    file: Path, serve: Serve, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    """A writer is in the way of any opening; a reader only where the file is not in WAL mode yet."""
    with serve(file):
        pass
    change(file, "PRAGMA journal_mode = DELETE")
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        for statement in begin.split("; "):
            other.execute(statement).fetchall()
        assert "(database is locked); another program is " in refusal(file)
