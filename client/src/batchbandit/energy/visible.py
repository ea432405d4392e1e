"""Which GPUs the environment lets a process see.

``CUDA_VISIBLE_DEVICES`` is read as CUDA reads it: entries are indices, ``GPU-`` with the beginning of a UUID,
``MIG-`` with the beginning of an instance's UUID, or ``MIG-GPU-UUID/GPU instance/compute instance``. The list
ends before the first entry that names nothing; an empty list, or one that names a device twice, shows none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_INDEX = re.compile(r"\s*\+?(\d+)")  # what follows the digits is ignored, as by CUDA
_OLD_MIG = re.compile(r"MIG-(GPU-[^/]+)/(\d+)/(\d+)")


class Instance(NamedTuple):
    """A MIG device: a compute instance of a GPU instance."""

    uuid: str
    gpu_instance: int
    compute_instance: int


class Gpu(NamedTuple):
    """A GPU of the machine, by its names; ``uuid`` is empty where the process may not ask."""

    uuid: str
    instances: Sequence[Instance] = ()


class Choice(NamedTuple):
    """A GPU by its index, and which of its MIG devices, if it is one of them that was named."""

    gpu: int
    instance: int | None = None


def visible(value: str | None, gpus: Sequence[Gpu]) -> list[Choice]:
    """Return what a value of ``CUDA_VISIBLE_DEVICES`` shows of some GPUs, all of them where it is not set."""
    if value is None:
        return [Choice(index) for index in range(len(gpus))]
    choices: list[Choice] = []
    for entry in value.split(","):
        choice = find(entry.strip(), gpus)
        if choice is None:
            break
        if choice in choices:
            return []
        choices.append(choice)
    return choices


def find(name: str, gpus: Sequence[Gpu]) -> Choice | None:
    """Return what a name stands for, None where it stands for no device or for more than one."""
    index = _INDEX.match(name)
    if index:
        number = int(index.group(1))
        return Choice(number) if number < len(gpus) else None
    old = _OLD_MIG.fullmatch(name)
    if old:
        uuid, *numbers = old.group(1), int(old.group(2)), int(old.group(3))
        return _only(
            Choice(index, which)
            for index, gpu in enumerate(gpus)
            if gpu.uuid == uuid
            for which, instance in enumerate(gpu.instances)
            if [instance.gpu_instance, instance.compute_instance] == numbers
        )
    if name.startswith("MIG-"):
        return _only(
            Choice(index, which)
            for index, gpu in enumerate(gpus)
            for which, instance in enumerate(gpu.instances)
            if instance.uuid.startswith(name)
        )
    if name.startswith("GPU-"):
        return _only(Choice(index) for index, gpu in enumerate(gpus) if gpu.uuid.startswith(name))
    return None


def names_indices(value: str | None) -> bool:
    """Tell whether a value chooses by index, which depends on the order of the GPUs."""
    return value is not None and any(_INDEX.match(entry) for entry in value.split(","))


def _only(choices: Iterable[Choice]) -> Choice | None:
    found = list(choices)
    return found[0] if len(found) == 1 else None
