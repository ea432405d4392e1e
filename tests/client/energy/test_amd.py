"""AMD GPUs behind libraries of several versions."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit.energy import amd
from batchbandit.energy.amd import find_amd
from batchbandit.energy.probes import Unavailable
from batchbandit.energy.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESOLUTION = 15.300000190734863  # µJ, as the library gives it


class Gpu:
    """A simulated GPU that draws ``watts``."""

    def __init__(self, clock: Callable[[], float], number: int, watts: float = 200.0) -> None:
        self.clock = clock
        self.watts: float | str = watts
        self.begun = clock()
        self.uuid = f"{number:02x}ff74a0-0000-1000-80b3-000000000000"
        self.bdf = f"0000:{number:02x}:00.0"
        self.serial = f"0x{number:016X}"
        self.hip_id: int | str = "N/A"
        self.has_counter = True
        self.counts = True

    def counter(self) -> int:
        """Return the counter, in its own units."""
        if not self.has_counter:
            raise RuntimeError("AMDSMI_STATUS_NOT_SUPPORTED")
        drawn = float(self.watts) * (self.clock() - self.begun) if self.counts else 0.0
        return round((1e6 + drawn) * 1e6 / RESOLUTION)


def library(gpus: list[Gpu]) -> Any:
    """Return a module as of amdsmi 6 and 7."""
    module: Any = types.ModuleType("amdsmi")
    module.is_open = False

    module.amdsmi_init = lambda: setattr(module, "is_open", True)
    module.amdsmi_shut_down = lambda: setattr(module, "is_open", False)
    module.amdsmi_get_processor_handles = lambda: gpus
    module.amdsmi_get_gpu_device_uuid = lambda gpu: gpu.uuid
    module.amdsmi_get_gpu_device_bdf = lambda gpu: gpu.bdf
    module.amdsmi_get_gpu_asic_info = lambda gpu: {
        "market_name": "AMD Instinct MI300X",
        "asic_serial": gpu.serial,
    }
    module.amdsmi_get_gpu_enumeration_info = lambda gpu: {
        "hip_id": gpu.hip_id,
        "hip_uuid": f"GPU-{gpu.serial[2:]}",
    }
    module.amdsmi_get_power_cap_info = lambda _: {"max_power_cap": 750_000_000, "power_cap": 700_000_000}
    module.amdsmi_get_energy_count = lambda gpu: {
        "energy_accumulator": gpu.counter(),
        "counter_resolution": RESOLUTION,
        "timestamp": 1,
    }
    module.amdsmi_get_power_info = lambda gpu: {
        "socket_power": 0xFFFFFFFF,
        "current_socket_power": gpu.watts,
        "average_socket_power": "N/A",
    }
    return module


@pytest.fixture
def install_amd(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What puts a library with some GPUs where amdsmi is imported from."""

    def put(*gpus: Gpu) -> Any:
        module = library(list(gpus))
        monkeypatch.setitem(sys.modules, "amdsmi", module)
        return module

    return put


def measured(found: Any, clock: Any, seconds: float) -> Any:
    meter = Sampler(found.probes, on_close=[found.close], clock=clock, threaded=False)
    meter.start()
    end = clock.now + seconds
    while clock.now < end:
        clock.pass_by(min(meter.sample(), end - clock.now))
    energy = meter.read()
    meter.close()
    return energy


def test_the_counter_is_the_figure(clock: Any, install_amd: Callable[..., Any]) -> None:
    module = install_amd(Gpu(clock, 1), Gpu(clock, 2))
    found = find_amd()
    energy = measured(found, clock, 60)
    assert energy.joules == pytest.approx(24_000, abs=0.1)
    assert (energy.source, energy.flaw) == ("amdsmi-counter", None)
    device = found.probes[0].device
    assert (device.model, device.max_power) == ("AMD Instinct MI300X", 750)
    assert device.identity == "01ff74a0-0000-1000-80b3-000000000000"
    assert not module.is_open


def test_older_versions_name_things_otherwise(clock: Any, install_amd: Callable[..., Any]) -> None:
    module = install_amd(Gpu(clock, 1))
    for name in list(vars(module)):
        if name.startswith("amdsmi_get"):
            delattr(module, name)
    gpu = Gpu(clock, 1)
    module.amdsmi_get_device_handles = lambda: [gpu]
    module.amdsmi_get_device_uuid = lambda one: one.uuid
    module.amdsmi_dev_get_energy_count = lambda one: {
        "power": one.counter(),
        "counter_resolution": RESOLUTION,
    }
    module.amdsmi_get_power_measure = lambda one: {"average_socket_power": one.watts}
    module.amdsmi_get_asic_info = lambda _: {"market_name": "N/A"}
    module.amdsmi_get_power_cap_info = lambda _: {"power_cap": 300}  # watts
    found = find_amd()
    assert measured(found, clock, 10).joules == pytest.approx(2000, abs=0.1)
    assert (found.probes[0].device.model, found.probes[0].device.max_power) == ("AMD GPU", 300)


def test_a_counter_that_stands_still_is_bridged_by_power(clock: Any, install_amd: Callable[..., Any]) -> None:
    gpu = Gpu(clock, 1)
    gpu.counts = False
    install_amd(gpu)
    energy = measured(find_amd(), clock, 60)
    assert energy.joules == pytest.approx(12_000)
    assert (energy.source, energy.flaw) == ("amdsmi-counter+amdsmi-power", None)


def test_power_is_integrated_where_no_counter_counts(clock: Any, install_amd: Callable[..., Any]) -> None:
    gpu = Gpu(clock, 1)
    gpu.has_counter = False
    install_amd(gpu)
    energy = measured(find_amd(), clock, 60)
    assert energy.joules == pytest.approx(12_000)
    assert (energy.source, energy.flaw) == ("amdsmi-power", None)


def test_the_second_die_of_a_card_is_left_out_and_told(
    clock: Any, install_amd: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    second = Gpu(clock, 2)
    second.has_counter, second.watts = False, "N/A"
    install_amd(Gpu(clock, 1), second)
    assert len(find_amd().probes) == 1
    assert "two dies" in caplog.text


def test_gpus_that_tell_nothing_cannot_be_measured(clock: Any, install_amd: Callable[..., Any]) -> None:
    gpu = Gpu(clock, 1)
    gpu.has_counter, gpu.watts = False, 0xFFFF
    module = install_amd(gpu)
    with pytest.raises(Unavailable, match="neither"):
        find_amd()
    assert not module.is_open


def test_the_parts_of_a_divided_gpu_count_as_one(clock: Any, install_amd: Callable[..., Any]) -> None:
    part = Gpu(clock, 9)
    part.bdf = "0000:01:00.1"
    install_amd(Gpu(clock, 1), part)
    assert [probe.device.identity[:2] for probe in find_amd().probes] == ["01"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "123"),
        ({"HIP_VISIBLE_DEVICES": "2,0"}, "31"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "2"),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, "1"),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1"}, "3"),
        ({"ROCR_VISIBLE_DEVICES": "GPU-0000000000000002"}, "2"),
        ({"HIP_VISIBLE_DEVICES": "0,-1,1"}, "1"),
        ({"HIP_VISIBLE_DEVICES": ""}, ""),
    ],
)
def test_the_environment_chooses(
    clock: Any, install_amd: Callable[..., Any], environ: dict[str, str], expected: str
) -> None:
    install_amd(Gpu(clock, 1), Gpu(clock, 2), Gpu(clock, 3))
    assert "".join(probe.device.identity[1] for probe in find_amd(environ=environ).probes) == expected


def test_indices_count_in_the_order_of_hip(clock: Any, install_amd: Callable[..., Any]) -> None:
    gpus = [Gpu(clock, 1), Gpu(clock, 2)]
    gpus[0].hip_id, gpus[1].hip_id = 1, 0
    install_amd(*gpus)
    assert find_amd([0]).probes[0].device.identity.startswith("02")


def test_gpus_are_chosen_by_uuid(clock: Any, install_amd: Callable[..., Any]) -> None:
    install_amd(Gpu(clock, 1), Gpu(clock, 2))
    assert find_amd(["02ff"]).probes[0].device.identity.startswith("02")
    assert find_amd(["GPU-0000000000000002"]).probes[0].device.identity.startswith("02")
    assert find_amd(["1"]).probes[0].device.identity.startswith("02")


@pytest.mark.parametrize("name", [2, "GPU-0", "ff", "", True])
def test_a_gpu_that_is_not_there_is_refused(clock: Any, install_amd: Callable[..., Any], name: Any) -> None:
    module = install_amd(Gpu(clock, 1), Gpu(clock, 2))
    with pytest.raises(ValueError, match="no such GPU"):
        find_amd([name])
    assert not module.is_open


def test_no_library_and_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_amd().is_present is False
    module: Any = types.ModuleType("amdsmi")
    monkeypatch.setitem(sys.modules, "amdsmi", module)  # it has no amdsmi_init, as if broken
    assert find_amd().is_present is False


def test_a_library_that_is_broken_beside_a_driver_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(amd, "DRIVER", tmp_path)
    monkeypatch.setitem(sys.modules, "amdsmi", types.ModuleType("amdsmi"))
    with pytest.raises(Unavailable, match="amdsmi_init"):
        find_amd()
