"""The processes that train one model together: what rank 0 knows reaches all, what each knows too."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from batchbandit.errors import OutOfOrder
from batchbandit.folder_ranks import FolderRanks, find_folder
from batchbandit.launchers import find_place
from batchbandit.log import log

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Json = Any
"""None, a boolean, a number, a text, a list of these or a dictionary from texts to them."""


class Ranks(Protocol):
    """The processes of a training, seen from one of them.

    All of them call ``share`` and ``gather`` in the same order, as they do collectives. Neither raises
    for a rank that is gone. Whatever has these four members will do: with mpi4py, ``share`` is ``bcast``
    and ``gather`` is ``allgather``.
    """

    @property
    def rank(self) -> int:
        """This process, from 0."""

    @property
    def size(self) -> int:
        """How many processes train."""

    def share(self, value: Json) -> Json:
        """Return the value of rank 0; one's own where it does not come."""

    def gather(self, value: Json) -> list[Json]:
        """Return the values of all in the order of ranks, None for each that does not come."""


class Alone:
    """One process that trains alone."""

    rank = 0
    size = 1

    def share(self, value: Json) -> Json:
        """Return the value."""
        return value

    def gather(self, value: Json) -> list[Json]:
        """Return the value in a list."""
        return [value]


class TorchRanks:
    """The processes of a group of ``torch.distributed``, by default of all.

    Once a collective fails, this process says so and goes on alone.

    Raises:
        OutOfOrder: ``torch.distributed`` is not initialised.
        ValueError: This process is not in the group.
    """

    def __init__(self, group: Any = None) -> None:  # noqa: ANN401 - a ProcessGroup; torch may not be there
        distributed = _initialised_distributed()
        if distributed is None:
            raise OutOfOrder("torch.distributed is not initialised: call init_process_group() first.")
        self.rank: int = distributed.get_rank(group)
        if self.rank < 0:
            raise ValueError("this process is not in the group: make its trial without it.")
        self.size: int = distributed.get_world_size(group)
        self._distributed = distributed
        self._group = group
        self._root = 0 if group is None else distributed.get_global_rank(group, 0)
        self._is_alone = False

    def share(self, value: Json) -> Json:
        """Return the value of rank 0; one's own where it does not come."""
        if self._is_alone:
            return value
        values = [value]
        try:
            with self._its_gpu():
                self._distributed.broadcast_object_list(values, src=self._root, group=self._group)
        except Exception as error:  # noqa: BLE001 - a group that is destroyed raises others than one that fails
            self._go_on_alone(error)
            return value
        return values[0]

    def gather(self, value: Json) -> list[Json]:
        """Return the values of all in the order of ranks, None for each that does not come."""
        own = [value if rank == self.rank else None for rank in range(self.size)]
        if self._is_alone:
            return own
        values = list(own)
        try:
            with self._its_gpu():
                self._distributed.all_gather_object(values, value, group=self._group)
        except Exception as error:  # noqa: BLE001 - the same
            self._go_on_alone(error)
            return own
        return values

    def _its_gpu(self) -> AbstractContextManager[object]:
        """Choose the GPU that NCCL sends from: until a script chooses, the first is every rank's."""
        if "nccl" not in str(self._distributed.get_backend(self._group)):
            return nullcontext()
        cuda = sys.modules["torch"].cuda
        local_rank = os.environ.get("LOCAL_RANK", "")
        if cuda.current_device() != 0 or not local_rank.isdigit():
            return nullcontext()
        is_seen = int(local_rank) < cuda.device_count()  # else each rank sees no GPU but its own
        return cuda.device(int(local_rank)) if is_seen else nullcontext()

    def _go_on_alone(self, error: Exception) -> None:
        self._is_alone = True
        log.warning("Rank %d goes on alone: torch.distributed failed: %s", self.rank, error)


def find_ranks(ranks: Ranks | None = None) -> Ranks:
    """Return the processes that train together.

    They are the ``ranks`` given; or those of ``torch.distributed`` where it is initialised; or those that
    the environment tells of, which meet in a folder; or this one alone. Say ``ranks=Alone()`` where a
    launcher starts trainings that have nothing to do with each other.

    Raises:
        OutOfOrder: There are several processes, and no way for them to meet.
        ValueError: ``ranks`` lacks a member, or the environment makes no sense.
    """
    if ranks is not None:
        return _checked(ranks)
    if _initialised_distributed() is not None:
        return TorchRanks()
    place = find_place(os.environ)
    if place is None:
        return Alone()
    return FolderRanks(place.rank, place.size, find_folder(place, os.environ), str(place.run))


def _checked(ranks: Ranks) -> Ranks:
    missing = [name for name in ("rank", "size", "share", "gather") if not hasattr(ranks, name)]
    if missing:
        raise ValueError(f"ranks has no {', '.join(missing)}: it needs rank, size, share and gather.")
    if not 0 <= ranks.rank < ranks.size:
        raise ValueError(f"ranks has rank {ranks.rank} of {ranks.size}: no rank is that.")
    return ranks


def _initialised_distributed() -> Any:  # noqa: ANN401 - a module, which may not be there
    """Return torch.distributed where the script has initialised it; it is not imported for that."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed
