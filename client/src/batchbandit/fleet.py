"""The devices of all ranks together, each counted once, and batch sizes that ranks can share."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from batchbandit.energy.meters import Device
from batchbandit.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchbandit.ranks import Ranks


class Fleet(NamedTuple):
    """The devices of a training.

    ``max_power`` is that of all devices together, in watts. ``model`` is that of the GPUs, or of what else is
    measured where there are none; several are sorted and joined by `` + ``. Where nothing is measured the
    figures are 0 and the model is empty.
    """

    max_power: float
    number_of_gpus: int
    model: str

    @classmethod
    def of(cls, ranks: Ranks, devices: Iterable[Device]) -> Fleet:
        """Return what the devices of all ranks are together; every rank calls this at once."""
        distinct = {device.identity: device for rank in _seen(ranks, devices) for device in rank}.values()
        gpus = [device for device in distinct if device.is_gpu]
        models = {device.model for device in gpus or distinct}
        return cls(sum(device.max_power for device in distinct), len(gpus), " + ".join(sorted(models)))


def assigned_elsewhere(ranks: Ranks, devices: Iterable[Device]) -> set[str]:
    """Return the identities of the devices here that a lower rank measures; every rank calls this at once.

    So each device is measured once, whether each rank sees its own or all of them see all.
    """
    seen = [{device.identity for device in rank} for rank in _seen(ranks, devices)]
    lower = {identity for rank in seen[: ranks.rank] for identity in rank}
    return seen[ranks.rank] & lower


def check_divisible(batch_sizes: Iterable[int], size: int) -> None:
    """Check that ``size`` ranks can share each batch size of all ranks together.

    Raises:
        InvalidJob: They cannot share some of them evenly.
    """
    uneven = [str(batch_size) for batch_size in batch_sizes if batch_size % size]
    if uneven:
        raise InvalidJob(
            f"batch_sizes has {', '.join(uneven)}, which {size} ranks cannot share evenly: name multiples of "
            f"{size}, as a batch size is that of all ranks together."
        )


def _seen(ranks: Ranks, devices: Iterable[Device]) -> list[list[Device]]:
    """Return the devices that each rank sees; none for a rank that is missing."""
    gathered = ranks.gather([asdict(device) for device in devices])
    return [[Device(**device) for device in rank or ()] for rank in gathered]
