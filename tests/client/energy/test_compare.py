"""The script for machines with a GPU, on a simulated one in real time."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parents[2] / "gpu" / "compare.py"
SHORT = ["--seconds", "0.4", "--load", "idle"]


@pytest.fixture
def compare() -> Any:
    spec = importlib.util.spec_from_file_location("compare", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_good_counter_agrees_with_power_samples(
    compare: Any, fake: Any, install: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    library = install(fake.Gpu(time.monotonic, "GPU-aa"))
    assert compare.main(SHORT) == 0
    printed = capsys.readouterr().out
    assert "nvml-counter" in printed
    assert "they agree" in printed
    assert library.references == 0


def test_a_counter_that_counts_half_differs(
    compare: Any, fake: Any, install: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = fake.Gpu(time.monotonic, "GPU-aa")
    gpu.millijoules = lambda: round(gpu.drawn * 500)
    install(gpu)
    assert compare.main(SHORT) == 1
    assert "THEY DIFFER" in capsys.readouterr().out


def test_a_gpu_without_a_counter_is_compared_and_told(
    compare: Any, fake: Any, install: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = fake.Gpu(time.monotonic, "GPU-aa")
    gpu.has_counter = False
    install(gpu)
    assert compare.main(["--gpu", "GPU-aa", "--tolerance", "0.3", *SHORT]) == 0
    assert "no energy counter" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(
    compare: Any, fake: Any, install: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(SHORT) == 2
    install(init_error=fake.VERSION_MISMATCH)
    assert compare.main(SHORT) == 2
    install(fake.Gpu(time.monotonic, "GPU-aa"))
    assert compare.main(["--gpu", "1", *SHORT]) == 2
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert all(line.startswith("There is no GPU to compare on: ") for line in printed)


def test_it_runs_as_a_script_and_is_no_test() -> None:
    source = Path(sys.modules["batchbandit"].__file__ or "").parents[1]
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--seconds", "0.2"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(source), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    assert not SCRIPT.name.startswith("test_")
