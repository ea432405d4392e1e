"""AMD GPUs, through amdsmi where it is installed.

The figure is that of the energy counter where a GPU has one that counts, else power samples are integrated.
amdsmi's functions and members have had several names, all of which are tried.

Which GPUs: those given, by index in amdsmi's order or by UUID or the beginning of one; else those that
``ROCR_VISIBLE_DEVICES`` shows, and of them, counted anew, those that ``HIP_VISIBLE_DEVICES`` shows, or where
that is not set ``CUDA_VISIBLE_DEVICES``. Each list ends before the first entry that names nothing. Indices
count in the order of HIP where amdsmi tells it, else in amdsmi's.

The parts of a divided GPU have one sensor, and count as one GPU. On cards of two dies the second may have no
sensor, as the first one's covers both: it is left out, and that is said.
"""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar

from batchbandit.energy.meters import Device
from batchbandit.energy.probes import UNKNOWN_LIMIT_WATTS, Probes, Unavailable, UnknownGpu
from batchbandit.energy.visible import Gpu, find, visible
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import ModuleType

DRIVER = Path("/dev/kfd")
"""What is there where the AMD driver is loaded."""
COUNTER = "amdsmi-counter"
POWER = "amdsmi-power"
NO_WATTS = 0xFFFF
"""What a power that is not known reads, or more."""
LEAST_MICROWATTS = 100_000
"""A power limit of as many watts there is none, nor one of as few microwatts."""


_Value = TypeVar("_Value")


class Found(NamedTuple):
    """A GPU that amdsmi shows, by the names that it goes by."""

    handle: object
    names: Sequence[str]
    bdf: str
    hip_index: int | None


class AmdProbe:
    """Reads one GPU."""

    range_joules: float | None = None  # 64 bits

    def __init__(self, smi: ModuleType, handle: object, device: Device) -> None:
        self._smi = smi
        self._handle = handle
        self.device = device
        self.limit_watts = device.max_power or UNKNOWN_LIMIT_WATTS
        # One that is 0 has never counted.
        self.counter_source: str | None = COUNTER if _try(self.joules) else None
        self.power_source: str | None = POWER if _try(self.watts) is not None else None

    def joules(self) -> float:
        """Return the energy counter."""
        energy = _call(self._smi, self._handle, "amdsmi_get_energy_count", "amdsmi_dev_get_energy_count")
        count = energy["energy_accumulator"] if "energy_accumulator" in energy else energy["power"]
        return float(count) * float(energy["counter_resolution"]) / 1e6

    def watts(self) -> float:
        """Return the power."""
        power = _call(self._smi, self._handle, "amdsmi_get_power_info", "amdsmi_get_power_measure")
        for name in ("current_socket_power", "average_socket_power", "socket_power"):
            value = power.get(name)
            if isinstance(value, (int, float)) and 0 < value < NO_WATTS:
                return float(value)
        raise LookupError(f"amdsmi tells no power: {power!r:.200}")


def find_amd(
    gpus: Sequence[int | str] | None = None,
    *,
    leave_out: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Probes:
    """Return the probes of the chosen GPUs.

    Raises:
        Unavailable: GPUs or their library are there, and cannot be asked.
        UnknownGpu: ``gpus`` names one that is not there.
    """
    smi = _load()
    if smi is None:
        return Probes()
    try:
        found = _all(smi)
        chosen = _shown(found, environ) if gpus is None else [_named(name, found) for name in gpus]
        probes = _probes(smi, chosen, leave_out)
    except UnknownGpu:
        smi.amdsmi_shut_down()
        raise
    except Exception as error:
        _try(smi.amdsmi_shut_down)
        raise Unavailable(f"amdsmi says: {error}") from error
    return Probes(probes, smi.amdsmi_shut_down, bool(chosen))


def _load() -> ModuleType | None:
    """Return amdsmi, initialized, None where it is not installed or there is no AMD driver.

    Raises:
        Unavailable: There is a driver, and amdsmi does not work.
    """
    try:
        smi = importlib.import_module("amdsmi")  # it is not there on most machines
        smi.amdsmi_init()
    except ImportError:
        return None
    except Exception as error:  # without its library the import itself raises KeyError or OSError
        if DRIVER.exists():
            raise Unavailable(f"amdsmi says: {error}") from error
        return None
    return smi


def _all(smi: ModuleType) -> list[Found]:
    handles = _call(smi, None, "amdsmi_get_processor_handles", "amdsmi_get_device_handles")
    found = [_found(smi, handle) for handle in handles]
    if all(one.hip_index is not None for one in found):
        found.sort(key=lambda one: one.hip_index or 0)
    return found


def _found(smi: ModuleType, handle: object) -> Found:
    uuid = _try(lambda: _call(smi, handle, "amdsmi_get_gpu_device_uuid", "amdsmi_get_device_uuid"))
    bdf = _try(lambda: _call(smi, handle, "amdsmi_get_gpu_device_bdf", "amdsmi_get_device_bdf"))
    place = _try(lambda: smi.amdsmi_get_gpu_enumeration_info(handle)) or {}
    serial = str((_asic(smi, handle)).get("asic_serial", ""))
    names = [str(name) for name in (uuid, place.get("hip_uuid")) if name]
    if serial.lower().startswith("0x"):
        names.append(f"GPU-{serial[2:].lower()}")
    hip_index = place.get("hip_id")
    return Found(handle, names, str(bdf or ""), hip_index if isinstance(hip_index, int) else None)


def _asic(smi: ModuleType, handle: object) -> dict[str, Any]:
    return _try(lambda: _call(smi, handle, "amdsmi_get_gpu_asic_info", "amdsmi_get_asic_info")) or {}


def _shown(found: Sequence[Found], environ: Mapping[str, str]) -> list[Found]:
    hip = environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES"))
    return _of(hip, _of(environ.get("ROCR_VISIBLE_DEVICES"), found))


def _of(value: str | None, found: Sequence[Found]) -> list[Found]:
    gpus = [Gpu(next((name for name in one.names if name.startswith("GPU-")), "")) for one in found]
    return [found[choice.gpu] for choice in visible(value, gpus)]


def _named(name: int | str, found: Sequence[Found]) -> Found:
    if isinstance(name, int) or name.strip().isdigit():
        choice = None if isinstance(name, bool) else find(str(name), [Gpu("")] * len(found))
        matches = [found[choice.gpu]] if choice else []
    else:
        matches = [one for one in found if name and any(known.startswith(name) for known in one.names)]
    if len(matches) != 1:
        raise UnknownGpu(
            f"gpus names {name!r}, and amdsmi shows no such GPU: give the index or the UUID of one of the "
            f"{len(found)} that amd-smi list shows."
        )
    return matches[0]


def _probes(smi: ModuleType, chosen: Sequence[Found], leave_out: Collection[str]) -> list[AmdProbe]:
    by_place: dict[str, Found] = {}
    for one in chosen:
        by_place.setdefault(one.bdf.partition(".")[0] or repr(one.names), one)
    probes = []
    for one in by_place.values():
        model = str(_asic(smi, one.handle).get("market_name", "N/A"))
        identity = one.names[0] if one.names else one.bdf
        device = Device(identity, "AMD GPU" if model == "N/A" else model, _max_power(smi, one.handle))
        if identity not in leave_out:
            probes.append(AmdProbe(smi, one.handle, device))
    able = [probe for probe in probes if probe.counter_source is not None or probe.power_source is not None]
    if probes and not able:
        raise Unavailable(f"{probes[0].device.model} tells neither its energy nor its power.")
    for probe in probes:
        if probe not in able:
            say_once(
                f"GPU {probe.device.identity} ({probe.device.model}) has no energy sensor of its own and is "
                "left out: on cards of two dies the first one's covers both."
            )
    return able


def _max_power(smi: ModuleType, handle: object) -> float:
    """Return the highest power limit that the GPU allows, in watts; 0 where it does not say."""
    limits = _try(lambda: smi.amdsmi_get_power_cap_info(handle)) or {}
    for name in ("max_power_cap", "power_cap", "default_power_cap"):
        value = limits.get(name)
        if isinstance(value, (int, float)) and 0 < value < math.inf:
            return value / 1e6 if value >= LEAST_MICROWATTS else float(value)
    return 0.0


def _call(smi: ModuleType, handle: object, *names: str) -> Any:  # noqa: ANN401 - amdsmi has no types
    """Call the first of some functions that this version has."""
    for name in names:
        function = getattr(smi, name, None)
        if function is not None:
            return function() if handle is None else function(handle)
    raise LookupError(f"amdsmi has none of {', '.join(names)}")


def _try(call: Callable[[], _Value]) -> _Value | None:
    """Return what a call returns, None where it raises."""
    try:
        return call()
    except Exception:  # noqa: BLE001 - amdsmi's errors share no base over its versions
        return None
