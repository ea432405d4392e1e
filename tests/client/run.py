"""Runs the client's tests on the interpreters that are here, each in an environment of its own.

    python tests/client/run.py [PYTHON ...]

Without names of interpreters: on one of each version that `python3.X` on the path or pyenv has.
Exit codes: 0 all passed on all; 1 some failed; 2 there is nothing to run them on, or what is named is none.
"""

# ruff: noqa: T201  (what it prints is its product)
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client"
ENVIRONMENTS = ROOT / "build" / "client"
VERSIONS = tuple(f"3.{minor}" for minor in range(9, 15))
VERSION_OF = "import ensurepip, sys, venv; print('{}.{}'.format(*sys.version_info))"
PYTEST = ("-c", "client/pyproject.toml", "--rootdir=.", "--confcutdir=tests/client", "tests/client")

installing = threading.Lock()
"""Held while the client is installed: setuptools writes beside its sources."""


class Outcome(NamedTuple):
    """What the tests said on an interpreter."""

    title: str
    code: int
    output: str


def main(names: list[str]) -> int:
    """Run the tests on the interpreters named, or else on those found; print what each said."""
    interpreters = find(names or candidates())
    unfit = [name for name in names if version_of(name) not in VERSIONS]
    if unfit:
        print(f"no Python of {VERSIONS[0]} to {VERSIONS[-1]}:", *unfit, file=sys.stderr)
        return 2
    if not interpreters:
        print(f"no Python of {VERSIONS[0]} to {VERSIONS[-1]} runs here", file=sys.stderr)
        return 2
    absent = [version for version in VERSIONS if version not in interpreters]
    print("on", *interpreters, *(["without", *absent] if absent and not names else []), flush=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        outcomes = [*threads.map(run, interpreters, interpreters.values())]
    # What failed comes last, where it is seen.
    for outcome in sorted(outcomes, key=lambda each: each.code != 0):
        print(f"\n{outcome.title}\n{outcome.output.strip()}")
    return int(any(outcome.code for outcome in outcomes))


def candidates() -> list[str]:
    """Return what may be interpreters, those on the path first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names: list[str] = []
    for version in VERSIONS:
        on_path = shutil.which(f"python{version}")
        names += [on_path] if on_path else []
        names += map(str, sorted(pyenv.glob(f"{version}*/bin/python{version}")))
    return names


def find(names: list[str]) -> dict[str, str]:
    """Return an interpreter for each version; what does not run or makes no environments is passed over."""
    found: dict[str, str] = {}
    for name in names:
        version = version_of(name)
        if version in VERSIONS:
            found.setdefault(version, name)
    return found


def version_of(name: str) -> str | None:
    """Return an interpreter's version; None where it does not run, as a shim of pyenv may not."""
    try:
        said = subprocess.run([name, "-c", VERSION_OF], check=False, capture_output=True, text=True)
    except OSError:
        return None
    return said.stdout.strip() if said.returncode == 0 else None


def run(version: str, interpreter: str) -> Outcome:
    """Run the tests on one interpreter."""
    title = f"== Python {version}: {interpreter}"
    environment = ENVIRONMENTS / version
    installed = install(environment, interpreter)
    if installed.returncode:
        return Outcome(title, installed.returncode, installed.stdout)
    cache = f"cache_dir={environment / 'cache'}"
    tested = command([environment / "bin" / "python", "-m", "pytest", *PYTEST, "-o", cache])
    return Outcome(title, tested.returncode, tested.stdout)


def install(environment: Path, interpreter: str) -> subprocess.CompletedProcess[str]:
    """Make an environment with the client and what its tests need; one that is newer than that is kept."""
    stamp = environment / ".installed"
    if stamp.exists() and stamp.stat().st_mtime > (CLIENT / "pyproject.toml").stat().st_mtime:
        return subprocess.CompletedProcess([], 0, "")
    made = command([interpreter, "-m", "venv", "--clear", environment])
    if made.returncode:
        return made
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    with installing:
        made = command([*pip, "--disable-pip-version-check", "--editable", f"{CLIENT}[test]"])
    if made.returncode == 0:
        stamp.touch()
    return made


def command(arguments: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root; what it imports is what is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(argument) for argument in arguments],
        check=False,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
