"""A meter of a monitor that measures windows."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit.energy.windows import WindowMeter

if TYPE_CHECKING:
    from collections.abc import Callable


class Monitor:
    """Measures 100 J for every second of its clock, on each of its GPUs."""

    def __init__(self, clock: Callable[[], float], *gpu_indices: int) -> None:
        self.gpu_indices = list(gpu_indices)
        self.clock = clock
        self.windows: dict[str, float] = {}
        self.error: Exception | None = None
        self.factor = 1.0

    def begin_window(self, key: str, sync_execution: bool = True) -> None:  # noqa: FBT002 - as Zeus's
        """Begin."""
        if self.error:
            raise self.error
        assert sync_execution
        assert key not in self.windows
        self.windows[key] = self.clock()

    def end_window(self, key: str, sync_execution: bool = True, cancel: bool = False) -> Any:  # noqa: FBT002
        """End."""
        assert sync_execution
        assert not cancel
        seconds = self.clock() - self.windows.pop(key)
        if self.error:
            raise self.error
        by_gpu = dict.fromkeys(self.gpu_indices, 100 * seconds * self.factor)
        return types.SimpleNamespace(time=seconds, gpu_energy=by_gpu, total_energy=sum(by_gpu.values()))


def test_windows_are_added(clock: Any) -> None:
    monitor = Monitor(clock, 0, 1)
    meter = WindowMeter(monitor)
    assert meter.read().joules == 0
    meter.start()
    for total in (1000, 2000, 3000):
        clock.pass_by(5)
        assert meter.read().joules == pytest.approx(total)
    assert (meter.read().source, meter.read().flaw) == ("monitor", None)
    meter.start()
    assert meter.read().joules == 0
    meter.close()
    assert monitor.windows == {}
    assert meter.read().joules == 0


def test_two_meters_of_a_monitor_do_not_meet(clock: Any) -> None:
    monitor = Monitor(clock, 0)
    first, second = WindowMeter(monitor), WindowMeter(monitor)
    first.start()
    clock.pass_by(1)
    second.start()
    clock.pass_by(1)
    assert first.read().joules == pytest.approx(200)
    assert second.read().joules == pytest.approx(100)


def test_devices_are_those_that_the_indices_stand_for(
    fake: Any, clock: Any, install: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = install(*(fake.Gpu(clock, f"GPU-{letter}") for letter in "abc"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    meter = WindowMeter(Monitor(clock, 0))
    meter.start()
    clock.pass_by(1)
    assert [device.identity for device in meter.devices] == ["GPU-c"]
    assert meter.read().by_device == {"GPU-c": pytest.approx(100)}
    assert library.references == 0
    assert list(WindowMeter(Monitor(clock, 2)).devices) == []


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_monitor_without_nvml_has_no_devices(
    clock: Any, fake: Any, install: Callable[..., Any], is_broken: bool
) -> None:
    library = install(init_error=fake.VERSION_MISMATCH)
    if is_broken:
        library.nvmlInit = lambda: 1 / 0
    meter = WindowMeter(Monitor(clock, 0))
    meter.start()
    clock.pass_by(1)
    assert list(meter.devices) == []
    assert meter.read().joules == pytest.approx(100)


def test_a_monitor_that_fails_is_a_flaw_and_no_failure(clock: Any) -> None:
    monitor = Monitor(clock, 0)
    meter = WindowMeter(monitor)
    meter.start()
    clock.pass_by(1)
    meter.read()
    monitor.error = ValueError("window is taken")
    clock.pass_by(1)
    energy = meter.read()
    assert energy.joules == pytest.approx(100)
    assert "window is taken" in str(energy.flaw)
    monitor.error = None
    meter.start()
    assert meter.read().flaw is None


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_energy_that_cannot_be_is_not_added(clock: Any, factor: float) -> None:
    monitor = Monitor(clock, 0)
    monitor.factor = factor
    meter = WindowMeter(monitor)
    meter.start()
    clock.pass_by(1)
    energy = meter.read()
    assert energy.joules == 0
    assert "measured" in str(energy.flaw)
