"""What the tests of power limits share: GPUs that are in a file, so that a guardian sees the same ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import batchbandit

STAND_IN = Path(__file__).parent / "nvml"


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that holds the GPUs of the stand-in for NVML, which every process now imports."""
    path = tmp_path / "gpus.json"
    monkeypatch.setenv("FAKE_NVML", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_IN), *_client()]))
    monkeypatch.syspath_prepend(str(STAND_IN))
    return path


def _client() -> list[str]:
    return [str(Path(folder).parent) for folder in batchbandit.__path__]
