"""All that is kept of a job, as an audit takes it."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from core.failures import counts
from core.history import History
from core.records import Arm, Job, Trial
from core.sums import Sums


class Kept(Struct, frozen=True):
    """A job with its trials, ascending by number, and the rest by batch size."""

    job: Job
    batch_sizes: Sequence[int]
    trials: Sequence[Trial]
    arms: Mapping[int, Arm]
    histories: Mapping[int, History]
    sums: Mapping[int, Sums]


def counted_trials(kept: Kept) -> list[Trial]:
    """Return the trials on which the job's decisions rest: those since it was last reset."""
    return [trial for trial in kept.trials if counts(kept.job, trial)]
