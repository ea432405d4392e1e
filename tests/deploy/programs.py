"""The programs that read what is deployed: the environment's own, or the machine's."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.skips import skip_without

DEPLOY = ROOT / "deploy"
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()
BESIDE_PYTHON = Path(sys.executable).parent


def program(name: str) -> str:
    """Return the path of a program; skip where there is none."""
    return (
        shutil.which(name, path=BESIDE_PYTHON)
        or shutil.which(name)
        or skip_without(f"{name} is not installed")
    )


def said(*command: str | Path, given: str | None = None) -> str:
    """Return what a command prints, on either stream; it fails where the command does."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=given)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def commands(heading: str, number: int) -> str:
    """Return a block of commands of the page on deployment, counted from 0 under its heading."""
    section = DEPLOYMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return section.split("```sh\n")[1:][number].split("```")[0]
