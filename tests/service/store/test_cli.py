"""The command line about databases: what it says, where, and with which exit code."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.store.sqlite import SQLiteDatabase

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(url_of: Callable[[Path], str]) -> Invoke:
    """Return what runs a command on a file."""

    def run(file: Path, *command: str) -> Result:
        return CliRunner().invoke(main, [*command, "--database-url", url_of(file)])

    return run


def refused(result: Result) -> str:
    """Return the sentence of a refusal, which is all there is on standard error."""
    assert (result.exit_code, result.stdout) == (2, "")
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def backup_in(folder: Path) -> str:
    [backup] = folder.glob("*.backup-*")
    return str(backup)


def test_upgrade_says_where_the_backup_is_and_then_that_there_is_nothing_to_do(
    older: Path, invoke: Invoke, serve: Serve
) -> None:
    first = invoke(older, "db", "upgrade")
    assert (first.exit_code, first.stdout) == (0, f"Upgraded. Backup: {backup_in(older.parent)}\n")
    second = invoke(older, "db", "upgrade")
    assert (second.exit_code, second.stdout) == (0, "Already at this release's revision.\n")
    with serve(older):
        pass


def test_adopt_says_how_it_read_the_times_and_where_the_backup_is(reference: Path, invoke: Invoke) -> None:
    result = invoke(reference, "db", "adopt", "--timezone", "Europe/Berlin")
    assert result.exit_code == 0
    assert "its times were read as those of Europe/Berlin and are UTC now" in result.stdout
    assert backup_in(reference.parent) in result.stdout


def test_adopt_without_a_zone_says_that_it_took_this_machines(reference: Path, invoke: Invoke) -> None:
    assert "those of this machine's time zone" in invoke(reference, "db", "adopt").stdout


def test_a_second_adoption_is_refused(reference: Path, invoke: Invoke) -> None:
    invoke(reference, "db", "adopt")
    assert "has been adopted already" in refused(invoke(reference, "db", "adopt"))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Europe", "../zoneinfo", "/etc/passwd", "x" * 1000])
def test_an_unknown_time_zone_is_refused_and_nothing_touched(
    reference: Path, invoke: Invoke, zone: str
) -> None:
    before = reference.read_bytes()
    sentence = refused(invoke(reference, "db", "adopt", "--timezone", zone))
    assert f"--timezone: there is no time zone {zone!r}; write one like Europe/Berlin" in sentence
    assert reference.read_bytes() == before


@pytest.mark.parametrize("command", [("db", "upgrade"), ("db", "adopt")])
def test_a_missing_database_is_refused(file: Path, invoke: Invoke, command: tuple[str, ...]) -> None:
    assert refused(invoke(file, *command)) == (
        f"Error: {file} does not exist; name an existing database with --database-url\n"
    )


@pytest.mark.parametrize("command", [("serve",), ("db", "upgrade"), ("db", "adopt")])
def test_a_file_that_is_no_database_is_refused(file: Path, invoke: Invoke, command: tuple[str, ...]) -> None:
    file.write_text("dear diary, " * 100)
    assert refused(invoke(file, *command)) == (
        f"Error: {file} cannot be opened (file is not a database); "
        "name a SQLite file, or one that does not exist yet\n"
    )


@pytest.mark.parametrize("command", [("serve",), ("db", "upgrade"), ("db", "adopt")])
def test_a_database_in_use_is_refused(
    file: Path, invoke: Invoke, serve: Serve, command: tuple[str, ...]
) -> None:
    with serve(file):
        assert "Error: another batchbandit process (pid " in refused(invoke(file, *command))


def test_serve_names_the_command_that_an_older_database_needs(older: Path, invoke: Invoke) -> None:
    assert f"batchbandit db upgrade --database-url sqlite+aiosqlite:///{older}\n" in refused(
        invoke(older, "serve")
    )


def test_serve_names_the_command_that_a_database_of_the_reference_needs(
    reference: Path, invoke: Invoke
) -> None:
    assert (
        f"batchbandit db adopt [--timezone TZ] --database-url sqlite+aiosqlite:///{reference}\n"
        in refused(invoke(reference, "serve"))
    )


def test_the_environment_names_the_database_too(older: Path, url_of: Callable[[Path], str]) -> None:
    result = CliRunner(env={"BATCHBANDIT_DATABASE_URL": url_of(older)}).invoke(main, ["db", "upgrade"])
    assert (result.exit_code, result.stdout) == (0, f"Upgraded. Backup: {backup_in(older.parent)}\n")
