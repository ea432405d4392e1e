"""Upgrading a database of an older release: after a backup, all or nothing, and only one that needs it."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from service.errors import OpeningError
from service.store import adoption
from service.store.sqlite import SQLiteDatabase

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
UrlOf = Callable[[Path], str]
Contents = Callable[[Path], list[str]]


def change(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def test_an_older_database_is_upgraded_after_a_backup_and_serves(
    older: Path, url_of: UrlOf, serve: Serve, contents: Contents
) -> None:
    before = contents(older)
    upgraded = adoption.upgrade(url_of(older))
    assert upgraded is not None
    assert upgraded.backup is not None
    assert contents(upgraded.backup) == before
    with serve(older):
        pass


def test_a_database_at_head_needs_no_upgrade_and_no_backup(file: Path, url_of: UrlOf, serve: Serve) -> None:
    with serve(file):
        pass
    assert adoption.upgrade(url_of(file)) is None
    assert not list(file.parent.glob("*.backup-*"))


def test_a_later_database_that_this_release_serves_too_needs_no_upgrade(
    file: Path, url_of: UrlOf, serve: Serve
) -> None:
    with serve(file):
        pass
    change(file, "UPDATE batchbandit_version SET version_num = '9999'")
    assert adoption.upgrade(url_of(file)) is None
    with serve(file):
        pass


def test_an_upgrade_that_fails_midway_leaves_the_database_as_it_was(older: Path, url_of: UrlOf) -> None:
    change(older, 'CREATE INDEX "ix_Trial_results" ON "Trial" (energy)')
    before = older.read_bytes()
    with pytest.raises(OpeningError, match="already exists"):
        adoption.upgrade(url_of(older))
    assert older.read_bytes() == before


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("", "has no tables yet; run: batchbandit serve"),
        ('CREATE TABLE "Customer" (id INTEGER)', "holds other tables; use another --database-url"),
        (
            "CREATE TABLE batchbandit_version AS SELECT '9999' AS version_num",
            "is at a revision that this release does not know; a newer release wrote it",
        ),
    ],
)
def test_what_is_of_no_older_release_is_refused_untouched(
    file: Path, url_of: UrlOf, script: str, sentence: str
) -> None:
    file.touch()
    change(file, script)
    before = file.read_bytes()
    with pytest.raises(OpeningError) as refused:
        adoption.upgrade(url_of(file))
    assert sentence in str(refused.value)
    assert file.read_bytes() == before


def test_a_database_of_the_reference_is_sent_to_adoption(reference: Path, url_of: UrlOf) -> None:
    with pytest.raises(OpeningError, match="run: batchbandit db adopt"):
        adoption.upgrade(url_of(reference))


def test_a_missing_file_is_refused_and_not_made(file: Path, url_of: UrlOf) -> None:
    with pytest.raises(OpeningError, match="does not exist; name an existing database"):
        adoption.upgrade(url_of(file))
    assert list(file.parent.iterdir()) == []


def test_a_served_database_is_not_upgraded(file: Path, url_of: UrlOf, serve: Serve) -> None:
    with serve(file), pytest.raises(OpeningError, match="another batchbandit process"):
        adoption.upgrade(url_of(file))
