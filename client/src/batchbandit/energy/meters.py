"""What measures energy: the devices of a training, and the joules they have taken since a start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_SOURCE = "none"
"""The source of a meter that measures nothing."""


@dataclass(frozen=True)
class Device:
    """Something whose energy is measured.

    ``identity`` is the same in every process that sees the device: a GPU's UUID, or for a CPU package the
    host's name with the package's. ``max_power`` is in watts, 0 where nothing states it.
    """

    identity: str
    model: str
    max_power: float
    is_gpu: bool = True


@dataclass(frozen=True)
class Energy:
    """Energy since the meter's start, in joules; never negative, never less than what was read before.

    ``source`` says where the figure comes from: ``nvml-counter``, ``nvml-power``, ``amdsmi-counter``,
    ``amdsmi-power``, ``rapl``, ``monitor`` or ``none``, more than one joined by ``+``. One that ends in
    ``-shared`` has what others draw from the same GPU in it. Where something could not be measured,
    ``flaw`` is a sentence that says what, and ``joules`` is what was measured nevertheless: less than what
    was taken. ``by_device`` has the joules by the device's identity.
    """

    joules: float
    source: str
    flaw: str | None = None
    by_device: Mapping[str, float] = field(default_factory=dict)


class EnergyMeter(Protocol):
    """Measures the energy of the devices of a training. Its methods raise nothing once it is made."""

    @property
    def devices(self) -> Sequence[Device]:
        """What is measured; empty where nothing is."""

    def start(self) -> None:
        """Begin to measure; what was measured before is forgotten."""

    def read(self) -> Energy:
        """Return the energy since the start."""

    def close(self) -> None:
        """Let go of threads and handles; a closed meter is not started again."""


class NoMeter:
    """Measures nothing, where there is nothing to measure with."""

    devices: Sequence[Device] = ()

    def start(self) -> None:
        """Do nothing."""

    def read(self) -> Energy:
        """Return no energy."""
        return Energy(0.0, NO_SOURCE)

    def close(self) -> None:
        """Do nothing."""
