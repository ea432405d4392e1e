"""A meter of a monitor that measures windows, which begin and end by name, as Zeus's does."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Protocol

from batchbandit.energy.meters import Energy
from batchbandit.energy.nvidia import find_nvidia

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchbandit.energy.meters import Device

SOURCE = "monitor"
_numbers = itertools.count()


class Window(Protocol):
    """What was measured; ``gpu_energy``, joules by index, may be there too."""

    @property
    def total_energy(self) -> float:
        """The energy of all GPUs, in joules."""


class Monitor(Protocol):
    """Measures the energy between the begin and the end of a window."""

    @property
    def gpu_indices(self) -> Sequence[int]:
        """What is measured; they count through the GPUs that ``CUDA_VISIBLE_DEVICES`` shows."""

    def begin_window(self, key: str) -> None:
        """Begin to measure."""

    def end_window(self, key: str) -> Window:
        """Return what was measured since the begin."""


class WindowMeter:
    """Measures with a monitor: a window since the start, ended and begun anew at every read."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._indices = tuple(monitor.gpu_indices)
        self._window: str | None = None
        self._flaw: str | None = None
        self._joules = 0.0
        self._by_device: dict[str, float] = {}
        self.devices = _devices(self._indices)

    def start(self) -> None:
        """Begin to measure; what was measured before is forgotten."""
        self._end()
        self._flaw, self._joules, self._by_device = None, 0.0, {}
        self._begin()

    def read(self) -> Energy:
        """Return the energy since the start."""
        if self._window is not None:
            self._end()
            self._begin()
        return Energy(self._joules, SOURCE, self._flaw, dict(self._by_device))

    def close(self) -> None:
        """End the window."""
        self._end()

    def _begin(self) -> None:
        window = f"batchbandit-{next(_numbers)}"
        try:
            self._monitor.begin_window(window)
        except Exception as error:  # noqa: BLE001 - whatever a monitor raises is a reading that failed
            self._fail(f"The monitor began no window: {type(error).__name__}: {error}.")
        else:
            self._window = window

    def _end(self) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        try:
            measured = self._monitor.end_window(window)
            joules = float(measured.total_energy)
            by_index = {
                index: float(part) for index, part in (getattr(measured, "gpu_energy", None) or {}).items()
            }
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(f"The monitor did not end its window: {type(error).__name__}: {error}.")
            return
        if not 0 <= joules < math.inf:
            self._fail(f"The monitor measured {joules} J.")
            return
        self._joules += joules
        for index, device in zip(self._indices, self.devices):
            if by_index.get(index, -1) >= 0:
                before = self._by_device.get(device.identity, 0.0)
                self._by_device[device.identity] = before + by_index[index]

    def _fail(self, sentence: str) -> None:
        self._flaw = self._flaw or sentence


def _devices(indices: Sequence[int]) -> Sequence[Device]:
    """Return the devices that the indices stand for, none where NVML does not know them all."""
    try:
        found = find_nvidia()
    except Exception:  # noqa: BLE001 - the monitor measures, whatever is wrong with NVML
        return ()
    found.close()
    shown = [probe.device for probe in found.probes]
    return tuple(shown[index] for index in indices) if all(0 <= i < len(shown) for i in indices) else ()
