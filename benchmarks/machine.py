"""On what a report was measured."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

PACKAGES = (
    "batchbandit-server",
    "asyncpg",
    "httptools",
    "mabwiser",
    "msgspec",
    "numpy",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
)
ROOT = Path(__file__).parents[1]
GIGABYTE = 2**30


class Machine(Struct, frozen=True):
    """The machine, what runs on it, and when; ``cores`` are those that this process may use."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    commit: str | None
    date: str


def this_machine() -> Machine:
    """Describe the machine that this runs on, now."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE, 1),
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=dict(_versions(PACKAGES)),
        commit=_commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _cpu() -> str:
    """Return the model of the processor, where Linux names it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Go through those packages that are installed."""
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _commit() -> str | None:
    """Return what is checked out, marked where the tree differs from it; None where git does not know."""
    git = shutil.which("git")
    if git is None:
        return None
    # S603: the machine's own git; --no-optional-locks, so that it only reads.
    described = subprocess.run(  # noqa: S603
        [git, "--no-optional-locks", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None
