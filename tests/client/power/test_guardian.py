"""Power limits are restored however a training ends: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A training that has set a limit of 150 W when it says so, and then does what its last argument says.
TRAINING = """
import os, signal, sys, time
from pathlib import Path
from batchbandit.power_guard import Guardian

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in what runs behind it
with_child, ending = sys.argv[2] == "child", sys.argv[3]
guardian = Guardian(["GPU-a"], Path(sys.argv[1]))
guardian.set(150)
if with_child and os.fork() == 0:
    sys.stdin.read()  # a loader's worker, which outlives the training until the test lets it go
    os._exit(0)
print("set", flush=True)
if ending == "exit":
    sys.exit(3)
if ending == "_exit":
    os._exit(3)
if ending == "raise":
    raise ArithmeticError
if ending == "exec":
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])
for _ in range(600):  # in short sleeps: a signal that comes just before one is heeded only after it
    time.sleep(0.1)
"""


@pytest.fixture
def gpu(nvml: Path) -> Path:
    """The file of a GPU that has a limit of 250 W."""
    gpu = {"limit": 250_000, "lowest": 100_000, "highest": 300_000, "sets": [], "flaws": {}}
    nvml.write_text(json.dumps({"GPU-a": gpu}))
    return nvml


def limit_of(gpu: Path) -> float:
    return float(json.loads(gpu.read_text())["GPU-a"]["limit"]) / 1000


def comes_to(gpu: Path, watts: float) -> bool:
    """Wait until the GPU has a limit; False if it does not get it."""
    end = time.monotonic() + 20
    while limit_of(gpu) != watts and time.monotonic() < end:
        time.sleep(0.01)
    return limit_of(gpu) == watts


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a training, with or without a forked child, whose limit is set when this returns."""
    started = []

    def start(ending: str = "sleep", *, with_child: bool = False) -> subprocess.Popen[str]:
        child = "child" if with_child else "alone"
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(tmp_path / "state"), child, ending],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # a process group of its own, as a shell gives
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        return process

    yield start
    for process in started:
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()  # which also ends a forked child
        process.wait()


@pytest.mark.parametrize("with_child", [False, True], ids=["alone", "with a forked child alive"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_training_ended_by_a_signal(
    gpu: Path, start: Callable[..., subprocess.Popen[str]], number: signal.Signals, *, with_child: bool
) -> None:
    training = start(with_child=with_child)
    assert limit_of(gpu) == 150
    training.send_signal(number)
    assert comes_to(gpu, 250)


@pytest.mark.parametrize("with_child", [False, True], ids=["alone", "with a forked child alive"])
@pytest.mark.parametrize("ending", ["exit", "_exit", "raise"])
def test_a_training_that_ends_by_itself(
    gpu: Path, start: Callable[..., subprocess.Popen[str]], ending: str, *, with_child: bool
) -> None:
    training = start(ending, with_child=with_child)
    assert training.wait(20) != 0
    assert comes_to(gpu, 250)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_signal_to_the_whole_group_of_the_training(
    gpu: Path, start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    training = start(with_child=True)
    os.killpg(training.pid, number)
    assert comes_to(gpu, 250)


def test_a_training_that_replaces_itself_by_another_program(
    gpu: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    start("exec")
    assert comes_to(gpu, 250)


def guardian_of(training: subprocess.Popen[str]) -> int:
    """Return the process ID of the guardian."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        words = status.read_bytes().split(b"\0") if status.exists() else []
        if b"batchbandit.guardian" in words and str(training.pid).encode() in words:
            return int(status.parent.name)
    raise AssertionError("no guardian")


def test_a_guardian_takes_no_signal_that_is_meant_for_the_training(
    gpu: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    training = start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guardian_of(training), number)
    time.sleep(0.1)
    assert limit_of(gpu) == 150
    training.kill()
    assert comes_to(gpu, 250)


def test_a_guardian_ends_with_its_training(gpu: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    training = start(with_child=True)
    guardian = Path(f"/proc/{guardian_of(training)}/cmdline")
    training.kill()
    assert comes_to(gpu, 250)
    end = time.monotonic() + 20
    while guardian.exists() and guardian.read_bytes() and time.monotonic() < end:
        time.sleep(0.01)
    assert not guardian.exists() or not guardian.read_bytes()  # a zombie has no command line


def test_both_killed_at_once_the_next_training_restores(
    gpu: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    training = start()
    os.kill(guardian_of(training), signal.SIGKILL)
    training.kill()
    training.wait()
    assert limit_of(gpu) == 150
    start("exit")
    assert comes_to(gpu, 250)
