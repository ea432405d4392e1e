"""What measures the energy of a training on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from batchbandit.energy.amd import find_amd
from batchbandit.energy.meters import NoMeter
from batchbandit.energy.nvidia import find_nvidia
from batchbandit.energy.probes import Probes, Unavailable, UnknownGpu
from batchbandit.energy.rapl import find_rapl
from batchbandit.energy.sampling import Sampler
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from batchbandit.energy.meters import EnergyMeter


def find_meter(
    gpus: Sequence[int | str] | None = None, *, cpu: bool = False, leave_out: Collection[str] = ()
) -> EnergyMeter:
    """Return what measures the GPUs of the training; where there are none, its CPUs; else a ``NoMeter``.

    What is there and cannot be measured is said, and the next in that order is taken.

    Args:
        gpus: The GPUs by index or UUID: NVIDIA's, or AMD's where there are none of NVIDIA's. None takes all
            that the environment shows; an empty list takes no GPU.
        cpu: Measure CPUs beside GPUs too.
        leave_out: Identities of devices that another one measures.

    Raises:
        ValueError: ``gpus`` names a GPU that is not there.
    """
    if isinstance(gpus, (str, int)):
        raise UnknownGpu(f"gpus is {gpus!r}: give a list of indices or UUIDs.")
    found = _gpus(gpus, leave_out)
    has_gpus = any(one.is_present for one in found)
    if gpus and not has_gpus:
        raise UnknownGpu(f"gpus names {gpus[0]!r}, and no GPU can be measured on this machine.")
    if cpu or not has_gpus:
        found.append(_asked("The CPU", lambda: find_rapl(leave_out=leave_out)))
    probes = [probe for one in found for probe in one.probes]
    if not probes:
        for one in found:
            one.close()
        return NoMeter()
    return Sampler(probes, on_close=[one.close for one in found])


def _gpus(gpus: Sequence[int | str] | None, leave_out: Collection[str]) -> list[Probes]:
    nvidia = _asked("NVIDIA GPUs", lambda: find_nvidia(gpus, leave_out=leave_out))
    if gpus is not None and nvidia.is_present:
        return [nvidia]
    return [nvidia, _asked("AMD GPUs", lambda: find_amd(gpus, leave_out=leave_out))]


def _asked(what: str, find: Callable[[], Probes]) -> Probes:
    try:
        return find()
    except UnknownGpu:
        raise
    except Unavailable as reason:
        say_once(f"{what} cannot be measured: {reason}")
    except Exception as error:  # noqa: BLE001 - a broken driver must not keep a training from starting
        say_once(f"{what} cannot be measured: {type(error).__name__}: {error}")
    return Probes()
