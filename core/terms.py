"""What the terms of a job may be."""

import sys
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from core.cost import LARGEST_QUANTITY
from core.records import Job

LARGEST_INTEGER = 2**31 - 1


class Range(Struct, frozen=True):
    """Numbers from the lowest to the highest, the lowest itself left out where it ``is_above`` it."""

    lowest: float
    highest: float
    is_above: bool = False

    def __str__(self) -> str:
        if self.is_above:
            return f"above {self.lowest}, up to {self.highest}"
        return f"from {self.lowest} to {self.highest}"

    def holds(self, number: float) -> bool:
        """Tell whether a number is one of them."""
        return number <= self.highest and (number > self.lowest if self.is_above else number >= self.lowest)


FINITE = sys.float_info.max
COUNT = Range(0, LARGEST_INTEGER)
POSITIVE = Range(1, LARGEST_INTEGER)

RANGES: Mapping[str, Range] = {
    "eta_knob": Range(0, 1),
    "beta_knob": Range(0, FINITE, is_above=True),
    "target_metric": Range(-FINITE, FINITE),
    "max_epochs": POSITIVE,
    "num_pruning_rounds": COUNT,
    "window_size": Range(-(2**31), LARGEST_INTEGER),
    "max_power": Range(0, LARGEST_QUANTITY, is_above=True),
    "number_of_gpus": POSITIVE,
    "mab_prior_mean": Range(-LARGEST_QUANTITY, LARGEST_QUANTITY),
    "mab_prior_precision": Range(0, LARGEST_QUANTITY),
    "mab_num_explorations": COUNT,
    "mab_seed": Range(0, 2**63 - 1),
    "lease_seconds": Range(0, FINITE, is_above=True),
    "max_failures": POSITIVE,
}
"""Of the terms that are numbers; some may be None as well."""

LENGTHS: Mapping[str, int] = {"job_id": 400, "job_id_prefix": 300, "gpu_model": 300}
"""How many characters the texts may have."""


def unfit(job: Job, batch_sizes: Collection[int]) -> Iterator[str]:
    """Go through what no client could have stated about a job: a clause each, that says what may be."""
    for name, allowed in RANGES.items():
        value = getattr(job, name)
        if value is not None and not allowed.holds(value):
            yield f"{name} is {value}, and may be {allowed}"
    yield from _unfit_texts(job)
    for size in batch_sizes:
        if not POSITIVE.holds(size):
            yield f"a batch size is {size}, and may be {POSITIVE}"
    for name in ("default_batch_size", "exp_default_batch_size"):
        size = getattr(job, name)
        if size not in batch_sizes:
            yield f"{name} is {size}, and may be one of the job's batch sizes"


def _unfit_texts(job: Job) -> Iterator[str]:
    for name, longest in LENGTHS.items():
        text = getattr(job, name)
        if len(text) > longest:
            yield f"{name} is {len(text)} characters long, and may be {longest}"
        if "\0" in text:
            yield f"{name} is a text with NUL characters, and may be one without"
    if not job.job_id.startswith(job.job_id_prefix):
        yield f"job_id_prefix is {job.job_id_prefix!r}, and may be what job_id begins with"
