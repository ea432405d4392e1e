"""A library that looks like pynvml, over simulated GPUs with the faults that real ones have."""

# ruff: noqa: ANN401 - its functions take and return what those of a C library do

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

UNINITIALIZED, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 1, 3, 4, 6
DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, GPU_IS_LOST, VERSION_MISMATCH, UNKNOWN = 9, 12, 15, 18, 999


class NVMLError(Exception):
    """What the library raises; ``value`` is the code."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return {
            GPU_IS_LOST: "GPU is lost",
            VERSION_MISMATCH: "RM has detected an NVML/RM version mismatch.",
        }.get(self.value, f"error {self.value}")


class Clock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Instance:
    """A MIG device."""

    def __init__(self, uuid: str, gpu_instance: int, compute_instance: int, name: str) -> None:
        self.uuid = uuid
        self.gpu_instance = gpu_instance
        self.compute_instance = compute_instance
        self.name = name


class Gpu:
    """A simulated GPU: it draws ``watts``, and counts what it draws unless a fault is set."""

    def __init__(self, clock: Callable[[], float], uuid: str, name: str = "NVIDIA A100") -> None:
        self._clock = clock
        self._watts = 100.0
        self._at = clock()
        self._drawn = 0.0
        self._offset = 5000.0
        self._frozen_at: float | None = None
        self.uuid = uuid
        self.name: str | bytes = name
        self.limit_watts = 400.0
        self.instances: list[Instance] = []
        self.has_counter = True
        self.has_power = True
        self.has_limits = True
        self.is_lost = False
        self.is_forbidden = False
        self.failures = 0
        """How many readings of the counter fail from now on."""
        self.slips: list[float] = []
        """What the counter says next, in joules, instead of what it counted."""

    def draw(self, watts: float) -> None:
        """Draw another power from now on."""
        self._drawn = self.drawn
        self._at = self._clock()
        self._watts = watts

    @property
    def drawn(self) -> float:
        """The joules drawn since the GPU was made, which is the truth."""
        return self._drawn + self._watts * (self._clock() - self._at)

    def freeze(self) -> None:
        """Let the counter stand still."""
        self._frozen_at = self.drawn

    def thaw(self, *, catches_up: bool) -> None:
        """Let the counter go on, with what it has missed or without."""
        if self._frozen_at is not None and not catches_up:
            self._offset -= self.drawn - self._frozen_at
        self._frozen_at = None

    def reset(self) -> None:
        """Let the counter begin at 0, as it does when the driver is loaded again."""
        self._offset = -self.drawn

    def go_back(self, joules: float) -> None:
        """Let the counter go back a little."""
        self._offset -= joules

    def millijoules(self) -> int:
        """Return what the counter says."""
        self._check()
        if not self.has_counter:
            raise NVMLError(NOT_SUPPORTED)
        if self.failures > 0:
            self.failures -= 1
            raise NVMLError(UNKNOWN)
        if self.slips:
            return round(self.slips.pop(0) * 1000)
        counted = self.drawn if self._frozen_at is None else self._frozen_at
        return round((counted + self._offset) * 1000)

    def milliwatts(self) -> int:
        """Return the power."""
        self._check()
        if not self.has_power:
            raise NVMLError(NOT_SUPPORTED)
        return round(self._watts * 1000)

    def limits(self) -> list[int]:
        """Return the least and the highest power limit, in milliwatts."""
        self._check()
        if not self.has_limits:
            raise NVMLError(NOT_SUPPORTED)
        return [100_000, round(self.limit_watts * 1000)]

    def _check(self) -> None:
        if self.is_lost:
            raise NVMLError(GPU_IS_LOST)


def library(gpus: list[Gpu], *, init_error: int | None = None) -> types.ModuleType:  # noqa: C901 - many short ones
    """Return a module that shows some GPUs; ``references`` in it counts who has initialized it."""
    module: Any = types.ModuleType("pynvml")
    module.references = 0
    module.calls = 0
    module.driver = "570.133.20"
    module.NVMLError = NVMLError

    def init() -> None:
        if init_error is not None:
            raise NVMLError(init_error)
        module.references += 1

    def shut_down() -> None:
        if module.references == 0:
            raise NVMLError(UNINITIALIZED)
        module.references -= 1

    def called(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if module.references == 0:
                raise NVMLError(UNINITIALIZED)
            module.calls += 1
            return function(*arguments)

        return call

    def by_index(index: int) -> Gpu:
        if not 0 <= index < len(gpus):
            raise NVMLError(NOT_FOUND)
        if gpus[index].is_forbidden:
            raise NVMLError(NO_PERMISSION)
        return gpus[index]

    def by_uuid(uuid: str) -> Gpu:
        for gpu in gpus:
            if gpu.uuid == uuid:
                return gpu
        raise NVMLError(NOT_FOUND)

    def instance(gpu: Gpu, place: int) -> Instance:
        if place % 2 or place // 2 >= len(gpu.instances):  # every other place is empty
            raise NVMLError(NOT_FOUND)
        return gpu.instances[place // 2]

    def whole(handle: Gpu | Instance) -> Gpu:
        if isinstance(handle, Instance):
            raise NVMLError(NOT_SUPPORTED)
        return handle

    def mig_mode(gpu: Gpu) -> list[int]:
        if "A100" not in str(gpu.name):
            raise NVMLError(NOT_SUPPORTED)
        return [int(bool(gpu.instances))] * 2

    module.nvmlInit = init
    module.nvmlShutdown = shut_down
    functions: dict[str, Callable[..., Any]] = {
        "nvmlSystemGetDriverVersion": lambda: module.driver,
        "nvmlDeviceGetCount": lambda: len(gpus),
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetUUID": lambda handle: handle.uuid,
        "nvmlDeviceGetName": lambda handle: handle.name,
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: whole(handle).millijoules(),
        "nvmlDeviceGetPowerUsage": lambda handle: whole(handle).milliwatts(),
        "nvmlDeviceGetPowerManagementLimitConstraints": lambda handle: whole(handle).limits(),
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: whole(handle).limits()[1],
        "nvmlDeviceGetMigMode": mig_mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda _: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": instance,
        "nvmlDeviceGetGpuInstanceId": lambda handle: handle.gpu_instance,
        "nvmlDeviceGetComputeInstanceId": lambda handle: handle.compute_instance,
    }
    for name, function in functions.items():
        setattr(module, name, called(function))
    return module  # type: ignore[no-any-return]
