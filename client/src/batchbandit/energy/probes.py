"""What reads one device: the face that the readers of all vendors give to the sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchbandit.energy.meters import Device

UNKNOWN_LIMIT_WATTS = 2000.0
"""What no GPU and no processor draws, where nothing states what this one may."""


class Lost(Exception):
    """The device is gone and will not come back while the process lasts."""


class Unavailable(Exception):
    """A kind of device is there and cannot be measured; the sentence says why."""


class UnknownGpu(ValueError):
    """A GPU was named that is not there."""


class Probe(Protocol):
    """Reads one device; its reading methods raise ``Lost``, or anything else for a reading that failed."""

    device: Device
    counter_source: str | None
    """The source of a figure that the energy counter gives; None where the device has no counter."""
    power_source: str | None
    """The source of a figure that power samples give; None where power cannot be read."""
    range_joules: float | None
    """Where the counter starts over, None where that is not known."""
    limit_watts: float
    """The highest power that a reading is believed at, twice over."""

    def joules(self) -> float:
        """Return the energy counter, in joules since a moment of the device's own."""

    def watts(self) -> float:
        """Return the power drawn now, in watts."""


class Probes(NamedTuple):
    """The chosen devices of one kind, and how to let go of their library.

    ``is_present`` says whether the machine has devices of the kind that are not hidden, chosen or not.
    """

    probes: Sequence[Probe] = ()
    close: Callable[[], None] = lambda: None
    is_present: bool = False
