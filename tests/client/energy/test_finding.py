"""What a machine's energy is measured with, and what is said of what cannot."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit.energy import rapl
from batchbandit.energy.finding import find_meter
from batchbandit.energy.meters import NoMeter
from batchbandit.energy.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CPU that can be measured."""
    zone = tmp_path / "rapl" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("1000000\n")
    monkeypatch.setattr(rapl, "POWERCAP", zone.parent)
    return zone


def kinds(meter: Any) -> list[bool]:
    return [device.is_gpu for device in meter.devices]


def test_a_bare_machine_has_no_meter(caplog: pytest.LogCaptureFixture) -> None:
    meter = find_meter()
    assert isinstance(meter, NoMeter)
    meter.start()
    assert (meter.read().joules, meter.read().source) == (0, "none")
    assert caplog.messages == []


def test_gpus_come_first(fake: Any, clock: Any, install: Callable[..., Any], cpu: Path) -> None:
    assert cpu.is_dir()
    install(fake.Gpu(clock, "GPU-aa"))
    assert kinds(find_meter()) == [True]


def test_the_cpu_is_measured_where_there_is_no_gpu_or_none_is_shown(
    fake: Any, clock: Any, install: Callable[..., Any], cpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cpu.is_dir()
    assert kinds(find_meter()) == [False]
    library = install(fake.Gpu(clock, "GPU-aa"))
    assert kinds(find_meter([])) == [False]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    meter = find_meter()
    assert kinds(meter) == [False]
    meter.close()
    assert library.references <= 1


def test_the_cpu_is_measured_beside_gpus_when_asked_for(
    fake: Any, clock: Any, install: Callable[..., Any], cpu: Path
) -> None:
    install(fake.Gpu(clock, "GPU-aa"))
    meter = find_meter(cpu=True)
    meter.start()
    (cpu / "energy_uj").write_text("6000000\n")
    energy = meter.read()
    meter.close()
    assert kinds(meter) == [True, False]
    assert energy.joules == pytest.approx(5)
    assert energy.source == "nvml-counter+rapl"


def test_gpus_that_another_one_measures_do_not_make_the_cpu_be_measured(
    fake: Any, clock: Any, install: Callable[..., Any], cpu: Path
) -> None:
    assert cpu.is_dir()
    library = install(fake.Gpu(clock, "GPU-aa"))
    assert isinstance(find_meter(leave_out={"GPU-aa"}), NoMeter)
    assert library.references == 0


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_broken_driver_is_said_once_and_the_next_is_taken(
    fake: Any, install: Callable[..., Any], cpu: Path, caplog: pytest.LogCaptureFixture, is_broken: bool
) -> None:
    assert cpu.is_dir()
    library = install(init_error=fake.VERSION_MISMATCH)
    if is_broken:
        library.nvmlInit = lambda: 1 / 0
    for _ in range(2):
        assert kinds(find_meter()) == [False]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("NVIDIA GPUs cannot be measured: ")


def test_files_that_cannot_be_read_are_said(cpu: Path, caplog: pytest.LogCaptureFixture) -> None:
    (cpu / "energy_uj").write_text("none\n")
    assert isinstance(find_meter(), NoMeter)
    assert "The CPU cannot be measured" in caplog.text


@pytest.mark.parametrize("gpus", [[1], ["GPU-bb"]])
def test_a_gpu_that_is_not_there_is_refused(
    fake: Any, clock: Any, install: Callable[..., Any], gpus: list[Any]
) -> None:
    install(fake.Gpu(clock, "GPU-aa"))
    with pytest.raises(ValueError, match=r"gpus names .*nvidia-smi -L"):
        find_meter(gpus)


def test_a_gpu_that_is_named_where_there_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no GPU can be measured"):
        find_meter([0])


@pytest.mark.parametrize("gpus", ["0", 0])
def test_gpus_that_are_no_list_are_refused(gpus: Any) -> None:
    with pytest.raises(ValueError, match="give a list"):
        find_meter(gpus)


def test_amd_gpus_are_found_where_there_are_none_of_nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("amdsmi")
    module.amdsmi_init = module.amdsmi_shut_down = lambda: None
    module.amdsmi_get_processor_handles = lambda: ["handle"]
    module.amdsmi_get_gpu_device_uuid = lambda _: "aa"
    module.amdsmi_get_power_info = lambda _: {"average_socket_power": 90}
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    meter = find_meter([0])
    assert isinstance(meter, Sampler)
    assert [device.identity for device in meter.devices] == ["aa"]
    assert meter.read().source == "amdsmi-power"
