"""One serving process a file, for as long as it lives; readers whenever they like."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from service.errors import OpeningError
from service.store.opening import parsed
from service.store.sqlite import SQLiteDatabase

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
UrlOf = Callable[[Path], str]
Holding = Callable[[str], AbstractContextManager["subprocess.Popen[str]"]]

# What other processes do with a database: each says when it is where it should be, and stays there.
STAY = "print('here', flush=True); sys.stdin.read()"
OPEN = "import asyncio, sys; from service.store.databases import open_database as o; d = o(sys.argv[1])"
INSERT = "c.exec_driver_sql('INSERT INTO DeletedJob VALUES (?, 7)', ('gone',))"
HOLD = f"{OPEN}; {STAY}"
HOLD_AFTER_COMMIT = f"{OPEN}; asyncio.run(d.transact(lambda c: {INSERT} and None)); {STAY}"
HOLD_IN_TRANSACTION = f"{OPEN}; asyncio.run(d.transact(lambda c: ({INSERT}, {STAY.replace('; ', ', ')})))"


@pytest.fixture
def holding(root: Path, url_of: UrlOf, file: Path) -> Holding:
    """Return what runs another process on the file; it is there when the context begins."""

    @contextmanager
    def held(code: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [sys.executable, "-c", code, url_of(file)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "here\n"
                yield process
            finally:
                process.kill()

    return held


def ask(file: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()


def test_a_second_opening_in_one_process_is_refused(file: Path, serve: Serve, url_of: UrlOf) -> None:
    with serve(file), pytest.raises(OpeningError) as refused:
        SQLiteDatabase.open(parsed(url_of(file)))
    assert f"another batchbandit process (pid {os.getpid()}) already uses this database" in str(refused.value)
    assert f"{file}.lock; stop it first, or use another --database-url" in str(refused.value)


def test_a_second_process_is_refused_and_told_the_first(
    file: Path, serve: Serve, url_of: UrlOf, root: Path
) -> None:
    command = "from service.cli import main; main()"
    with serve(file):
        second = subprocess.run(
            [sys.executable, "-c", command, "serve", "--port", "0", "--database-url", url_of(file)],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert second.returncode == 2
    assert second.stderr.startswith("Error: another batchbandit process ")
    assert f"(pid {os.getpid()})" in second.stderr


def test_a_symbolic_link_is_no_way_around_the_lock(
    file: Path, serve: Serve, url_of: UrlOf, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.db"
    link.symlink_to(file)
    with serve(file), pytest.raises(OpeningError, match="already uses this database"):
        SQLiteDatabase.open(parsed(url_of(link)))
    with serve(link), pytest.raises(OpeningError, match="already uses this database"):
        SQLiteDatabase.open(parsed(url_of(file)))


def test_closing_lets_the_lock_go_and_leaves_its_file(file: Path, serve: Serve) -> None:
    for _ in range(2):
        with serve(file):
            pass
    assert Path(f"{file}.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_file_tells_the_last_holder_alone(file: Path, serve: Serve) -> None:
    lock = Path(f"{file}.lock")
    lock.write_text("a longer text than any process id\n")
    with serve(file):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_killed_process_lets_the_lock_go_and_what_it_answered_is_there(
    file: Path, serve: Serve, url_of: UrlOf, holding: Holding
) -> None:
    with holding(HOLD_AFTER_COMMIT) as holder:
        with pytest.raises(OpeningError, match=rf"\(pid {holder.pid}\)"):
            SQLiteDatabase.open(parsed(url_of(file)))
        holder.kill()
        holder.wait()
        with serve(file):
            assert ask(file, "SELECT * FROM DeletedJob") == [("gone", 7)]


def test_a_process_killed_in_a_transaction_leaves_nothing_of_it(
    file: Path, serve: Serve, holding: Holding
) -> None:
    with holding(HOLD_IN_TRANSACTION) as holder:
        holder.kill()
        holder.wait()
        with serve(file) as database:
            assert ask(file, "SELECT * FROM DeletedJob") == []
            asyncio.run(database.check())


def test_readers_read_while_another_process_serves(file: Path, holding: Holding) -> None:
    with holding(HOLD):
        assert ask(file, 'SELECT count(*) FROM "Job"') == [(0,)]


def test_readers_read_what_is_committed_while_a_transaction_is_open(file: Path, serve: Serve) -> None:
    def write_and_look(connection: Connection) -> list[tuple[object, ...]]:
        connection.exec_driver_sql("INSERT INTO DeletedJob VALUES ('gone', 7)")
        return ask(file, "SELECT * FROM DeletedJob")

    with serve(file) as database:
        assert asyncio.run(database.transact(write_and_look)) == []
        assert ask(file, "SELECT * FROM DeletedJob") == [("gone", 7)]


def test_a_long_reader_is_in_no_writers_way(file: Path, serve: Serve) -> None:
    with serve(file) as database, closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT * FROM DeletedJob").fetchall() == []
        asyncio.run(
            database.transact(
                lambda c: c.exec_driver_sql("INSERT INTO DeletedJob VALUES ('gone', 7)").close()
            )
        )
        assert reader.execute("SELECT * FROM DeletedJob").fetchall() == []
        reader.execute("COMMIT")
        assert reader.execute("SELECT * FROM DeletedJob").fetchall() == [("gone", 7)]
