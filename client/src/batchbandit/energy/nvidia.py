"""NVIDIA GPUs, through NVML.

The figure is that of NVML's total-energy counter (Volta and newer); where a GPU has none, power samples are
integrated. NVML's power is that of the moment on GA100 and older, and the mean of a second on newer GPUs. On
Grace Hopper the counter has the whole module in it, its CPU too.

Which GPUs: those given, by index as ``nvidia-smi`` counts them or by UUID or the beginning of one; else those
that ``CUDA_VISIBLE_DEVICES`` shows (see ``visible``). NVML counts GPUs in the order of the PCI bus. CUDA does
so too under ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, else the fastest comes first: where indices choose from GPUs of
different models, that is said.

A MIG device has no sensor of its own: the whole GPU is measured, once for all its instances, other users'
among them. The source then ends in ``-shared``, and it is said. A GPU in MIG mode that is shown whole stands
for its instances. With drivers before R570 CUDA shows a process the first MIG device alone, and then no other
GPU beside it (NVIDIA's MIG User Guide, "CUDA Device Enumeration").
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, NamedTuple

from batchbandit.energy.meters import Device
from batchbandit.energy.probes import UNKNOWN_LIMIT_WATTS, Lost, Probes, Unavailable, UnknownGpu
from batchbandit.energy.visible import Choice, Gpu, Instance, find, names_indices, visible
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import ModuleType

COUNTER = "nvml-counter"
POWER = "nvml-power"
SHARED = "-shared"
ATTEMPTS = 3
MIG_BESIDE_OTHERS = 570
"""The first driver with which CUDA shows more than one MIG device, and other GPUs beside it."""

# The codes of NVML's errors are part of its interface, and the same in every version.
_UNINITIALIZED = 1
_NOT_SUPPORTED = frozenset((3, 13))  # not supported, function not found
_ABSENT = frozenset((9, 12))  # driver not loaded, library not found: no GPU here
_LOST = frozenset((15, 16))  # GPU is lost, reset required


class Found(NamedTuple):
    """A GPU that NVML shows; ``handle`` is None where the process may not use it."""

    handle: object
    gpu: Gpu
    model: str
    instance_models: Sequence[str]


class NvidiaProbe:
    """Reads one GPU."""

    range_joules: float | None = None  # 64 bits of millijoules

    def __init__(self, nvml: ModuleType, found: Found, device: Device, *, is_shared: bool) -> None:
        self._nvml = nvml
        self._handle = found.handle
        self.device = device
        self.limit_watts = device.max_power or UNKNOWN_LIMIT_WATTS
        suffix = SHARED if is_shared else ""
        self.counter_source: str | None = COUNTER + suffix if self._answers(self.joules) else None
        self.power_source: str | None = POWER + suffix if self._answers(self.watts) else None

    def joules(self) -> float:
        """Return the total-energy counter."""
        return self._ask("nvmlDeviceGetTotalEnergyConsumption") / 1000

    def watts(self) -> float:
        """Return the power."""
        return self._ask("nvmlDeviceGetPowerUsage") / 1000

    def _ask(self, name: str) -> float:
        try:
            return float(getattr(self._nvml, name)(self._handle))
        except self._nvml.NVMLError as error:
            if _code(error) in _LOST:
                raise Lost(f"NVML says: {error}. Nothing more can be measured of it.") from error
            if _code(error) == _UNINITIALIZED:  # others in the process have shut it down
                self._nvml.nvmlInit()
                self._handle = self._nvml.nvmlDeviceGetHandleByUUID(self.device.identity)
            raise

    def _answers(self, call: Callable[[], float]) -> bool:
        """Tell whether the GPU can say something at all."""
        for _ in range(ATTEMPTS):
            try:
                call()
            except (self._nvml.NVMLError, AttributeError, Lost) as error:  # noqa: PERF203 - it loops for them
                if _code(error) in _NOT_SUPPORTED:
                    return False
            else:
                return True
        return False


def find_nvidia(
    gpus: Sequence[int | str] | None = None,
    *,
    leave_out: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Probes:
    """Return the probes of the chosen GPUs.

    Raises:
        Unavailable: GPUs or their driver are there, and cannot be asked.
        UnknownGpu: ``gpus`` names one that is not there.
    """
    nvml = _load()
    if nvml is None:
        return Probes()
    try:
        return _probes(nvml, gpus, leave_out, environ)
    except nvml.NVMLError as error:
        _shut_down(nvml)
        raise Unavailable(f"NVML says: {error}") from error
    except BaseException:
        _shut_down(nvml)
        raise


def _load() -> ModuleType | None:
    """Return NVML, initialized, None where there is no NVIDIA driver."""
    try:
        import pynvml  # noqa: PLC0415 - it takes long to import
    except ImportError as error:
        raise Unavailable(f"The package nvidia-ml-py cannot be imported: {error}") from error
    nvml: ModuleType = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if _code(error) in _ABSENT:
            return None
        raise Unavailable(f"NVML says: {error}") from error
    return nvml


def _shut_down(nvml: ModuleType) -> None:
    try:
        nvml.nvmlShutdown()
    except nvml.NVMLError:
        return  # others in the process have


def _probes(
    nvml: ModuleType, gpus: Sequence[int | str] | None, leave_out: Collection[str], environ: Mapping[str, str]
) -> Probes:
    found = [_found(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    names = [one.gpu for one in found]
    chosen = _shown(nvml, found, environ) if gpus is None else [_named(name, names) for name in gpus]
    probes = []
    for index, instances in _by_gpu(chosen).items():
        if found[index].handle is None:
            raise Unavailable(f"NVML does not let this process use GPU {index}.")
        device = _device(nvml, found[index], instances)
        if device.identity not in leave_out:
            probes.append(NvidiaProbe(nvml, found[index], device, is_shared=bool(instances)))
    for probe in probes:
        if probe.counter_source is None and probe.power_source is None:
            raise Unavailable(f"{probe.device.model} tells neither its energy nor its power.")
        if SHARED in (probe.counter_source or probe.power_source or ""):
            say_once(
                f"A MIG device has no energy sensor: GPU {probe.device.identity} is measured as a whole, "
                "with what its other instances draw."
            )
    return Probes(probes, lambda: _shut_down(nvml), bool(chosen))


def _found(nvml: ModuleType, index: int) -> Found:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        model = _text(nvml.nvmlDeviceGetName(handle))
    except nvml.NVMLError:
        return Found(None, Gpu(""), "", ())
    places = range(_instance_count(nvml, handle))
    made = [one for one in (_instance(nvml, handle, place) for place in places) if one is not None]
    return Found(handle, Gpu(uuid, [one for one, _ in made]), model, [name for _, name in made])


def _instance(nvml: ModuleType, gpu: object, place: int) -> tuple[Instance, str] | None:
    """Return a MIG device and its model, None where none was made at a place of the GPU."""
    try:
        handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, place)
        uuid = _text(nvml.nvmlDeviceGetUUID(handle))
        numbers = nvml.nvmlDeviceGetGpuInstanceId(handle), nvml.nvmlDeviceGetComputeInstanceId(handle)
        return Instance(uuid, *numbers), _text(nvml.nvmlDeviceGetName(handle))
    except nvml.NVMLError:
        return None


def _instance_count(nvml: ModuleType, handle: object) -> int:
    try:
        is_divided = nvml.nvmlDeviceGetMigMode(handle)[0]
        return int(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) if is_divided else 0
    except (nvml.NVMLError, AttributeError):
        return 0  # it has no MIG, or this NVML knows none


def _shown(nvml: ModuleType, found: Sequence[Found], environ: Mapping[str, str]) -> list[Choice]:
    value = environ.get("CUDA_VISIBLE_DEVICES")
    names = [one.gpu for one in found]
    choices = visible(value, names)
    if value is None:
        choices = [choice for choice in choices if found[choice.gpu].handle is not None]
    is_pci_order = environ.get("CUDA_DEVICE_ORDER", "").strip().upper() == "PCI_BUS_ID"
    is_mixed = len({one.model for one in found}) > 1
    if names_indices(value) and 0 < len(choices) < len(found) and is_mixed and not is_pci_order:
        say_once(
            "CUDA_VISIBLE_DEVICES names GPUs by index, and CUDA may count those of different models in "
            "another order than NVML: set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them by UUID, so that the "
            "right ones are measured."
        )
    choices = [_part(choice, names) for choice in choices]
    parts = [choice for choice in choices if choice.instance is not None]
    return parts[:1] if parts and _driver(nvml) < MIG_BESIDE_OTHERS else choices


def _driver(nvml: ModuleType) -> int:
    """Return the driver's branch, that of a new one where it is not told."""
    try:
        return int(_text(nvml.nvmlSystemGetDriverVersion()).partition(".")[0])
    except (nvml.NVMLError, ValueError):
        return MIG_BESIDE_OTHERS


def _part(choice: Choice, gpus: Sequence[Gpu]) -> Choice:
    """Return the first MIG device of a GPU that has some, where none of them is chosen."""
    is_whole = choice.instance is None and gpus[choice.gpu].instances
    return Choice(choice.gpu, 0) if is_whole else choice


def _named(name: int | str, gpus: Sequence[Gpu]) -> Choice:
    choice = None if isinstance(name, bool) else find(str(name), gpus)
    if choice is None:
        raise UnknownGpu(
            f"gpus names {name!r}, and NVML shows no such GPU: give the index or the UUID of one of the "
            f"{len(gpus)} that nvidia-smi -L lists."
        )
    return _part(choice, gpus)


def _by_gpu(choices: Sequence[Choice]) -> dict[int, list[int]]:
    """Return the instances chosen of each GPU, none where it is chosen as a whole, each GPU once."""
    chosen: dict[int, list[int]] = {}
    for choice in choices:
        instances = chosen.setdefault(choice.gpu, [])
        if choice.instance is not None:
            instances.append(choice.instance)
    return chosen


def _device(nvml: ModuleType, found: Found, instances: Sequence[int]) -> Device:
    model = found.instance_models[instances[0]] if instances else found.model
    return Device(found.gpu.uuid, model, _max_power(nvml, found.handle))


def _max_power(nvml: ModuleType, handle: object) -> float:
    """Return the highest power limit that the GPU allows, in watts; 0 where it does not say."""
    try:
        return float(nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)[1]) / 1000
    except nvml.NVMLError:
        pass
    try:
        return float(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1000
    except nvml.NVMLError:
        return 0.0


def _code(error: BaseException) -> int | None:
    return getattr(error, "value", None)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # older bindings return bytes
