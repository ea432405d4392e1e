"""PyTorch: a data loader with a trial's batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, DistributedSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import Dataset

    from batchbandit.trials import Trial


class EpochSampler(DistributedSampler):  # type: ignore[misc] # torch is not there where types are checked
    """A rank's part of a data set, in another order each time, without ``set_epoch``."""

    def __iter__(self) -> Iterator[int]:
        self.set_epoch(self.epoch + 1)
        indices: Iterator[int] = super().__iter__()
        return indices


def loader(dataset: Dataset, trial: Trial, *, shuffle: bool = True, **options: Any) -> DataLoader:  # noqa: ANN401
    """Return a loader of this rank's part of a data set, in batches of the rank's share of the batch size.

    ``options`` are those of ``DataLoader``. The learning rates of an optimizer are brought to the batch size
    by ``batchbandit.learning_rate.scale(optimizer, tuned_batch_size, trial.batch_size)``.
    """
    if trial.ranks.size == 1:
        return DataLoader(dataset, trial.batch_size, shuffle=shuffle, **options)
    sampler = EpochSampler(
        dataset,
        trial.ranks.size,
        trial.ranks.rank,
        shuffle=shuffle,
        drop_last=options.get("drop_last", False),
    )
    return DataLoader(dataset, trial.per_device_batch_size, sampler=sampler, **options)
