"""Simulated GPUs in place of real ones; everything else is real."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit import notices
from batchbandit.energy import amd, rapl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

HERE = Path(__file__).parent


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """The module fake_nvml."""
    return load(HERE / "fake_nvml.py")


@pytest.fixture
def clock(fake: ModuleType) -> Any:
    return fake.Clock()


@pytest.fixture
def install(fake: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What puts a library with some GPUs where pynvml is imported from."""

    def put(*gpus: object, init_error: int | None = None) -> Any:
        module = fake.library(list(gpus), init_error=init_error)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return put


@pytest.fixture(autouse=True)
def _bare_machine(
    install: Callable[..., Any], fake: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """No GPU, no RAPL and nothing said yet, whatever the machine of the tests has."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.setattr(amd, "DRIVER", tmp_path / "kfd")
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "powercap")
    install(init_error=fake.LIBRARY_NOT_FOUND)
    notices.say_once.cache_clear()
    yield
    notices.say_once.cache_clear()
