"""The environment with the frameworks, and a service for what runs in it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.server import Server, running_server
from tests.skips import skip_without

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "build" / "training" / "bin"
LIMIT = 300.0
"""Seconds after which what runs there hangs."""
ABORTED = "terminate called without an active exception"
"""What PyTorch 2.13 says where it now and then aborts a process that used gloo, once the script is over."""
RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

Run = Callable[..., str]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a running service."""
    with running_server() as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs a program of the frameworks' environment, and returns what it printed."""
    if not (PROGRAMS / "python").exists():
        skip_without("the frameworks are not in build/training: run make test-integrations")

    def printed(program: str, *arguments: str | Path) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
        variables |= {
            "BATCHBANDIT_STATE_DIR": str(tmp_path / "state"),
            "HF_HUB_OFFLINE": "1",
            "KERAS_BACKEND": "torch",
            "KERAS_HOME": str(tmp_path / "keras"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT / "client" / "src"),
        }
        done = subprocess.run(
            [PROGRAMS / program, *arguments],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=tmp_path,
            env=variables,
            check=False,
        )
        assert done.returncode == 0 or ABORTED in done.stderr, done.stdout + done.stderr
        return done.stdout

    return printed
