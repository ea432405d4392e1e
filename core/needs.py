"""What a decision needs while it is made.

A decision is a generator that yields its needs and is sent what answers them, so that core stays free of I/O
while the decisions of many jobs share one read and one call of a kernel. Each function here yields one need
and returns its answer, typed.
"""

from collections.abc import Generator, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from core.history import History
from core.records import Arm, Job, Posterior, Specification, Terms, Trial
from core.sums import Sums

MOST_TRIALS = 200
"""Of a job that another one begins with."""


class Precedent(Struct, frozen=True):
    """A job that another one begins with: its newest results since its reset, ascending by trial number.

    They are at most ``MOST_TRIALS``.
    """

    job: Job
    trials: Sequence[Trial]


class Precedents(Struct, frozen=True):
    """What other jobs have shown that ``named`` names, those whose names begin with ``reach``.

    Where that is ``core.records.LIKE_IT``, it is those with the same prefix that have had a result that
    converged; the one that was active last is first.
    """

    job_id: str
    job_id_prefix: str
    named: str
    reach: str


class BatchSizes(Struct, frozen=True):
    """The batch sizes of a job, ascending."""

    job_id: str


class Explorations(Struct, frozen=True):
    """The explorations of a job since its reset that have not failed: by batch size, then trial number."""

    job_id: str


class NewestExploration(Struct, frozen=True):
    """The highest number of an exploration of one batch size, failed ones too."""

    job_id: str
    batch_size: int


class Leased(Struct, frozen=True):
    """The running trials of a job that hold leases, the one that ends first being first."""

    job_id: str


class Arms(Struct, frozen=True):
    """The arms of a job: by batch size, ascending."""

    job_id: str


class Results(Struct, frozen=True):
    """The history of one batch size: its last ``window`` results, 0 for all."""

    job_id: str
    batch_size: int
    window: int


class RunningSums(Struct, frozen=True):
    """The running sums of one batch size, None where it has none."""

    job_id: str
    batch_size: int


class Costing(Struct, frozen=True):
    """What the results of a job since its reset cost under its terms."""

    job: Job

    @property
    def job_id(self) -> str:
        """The job's name."""
        return self.job.job_id


class Costs(Struct, frozen=True):
    """The lowest and the highest cost of all results, in joules, None where there are none.

    ``cheapest`` is the cost, trial number and batch size of the cheapest that converged (ties: the first),
    None where none did.
    """

    lowest: float | None
    highest: float | None
    cheapest: tuple[float, int, int] | None


class Fit(Struct, frozen=True):
    """The posteriors of arms that share a prior, fitted on a segment of rewards each."""

    terms: Terms
    rewards: Sequence[NDArray[np.float64]]


class Choice(Struct, frozen=True):
    """A Thompson step over the arms of a job."""

    job: Job
    arms: Sequence[Arm]


class Chosen(Struct, frozen=True):
    """A Thompson step taken: the arm, a sample an arm (NaN where none was drawn), the stream after it."""

    arm: Arm
    samples: NDArray[np.float64]
    stream: str


OfTrials = Explorations | NewestExploration | Leased | Results | Costing
Stored = OfTrials | BatchSizes | Arms | RunningSums | Precedents
Need = Stored | Fit | Choice


def batch_sizes(job: Job) -> Generator[Need, Sequence[int], Sequence[int]]:
    """Need a job's batch sizes."""
    return (yield BatchSizes(job.job_id))


def precedents(
    specification: Specification, named: str, reach: str
) -> Generator[Need, Sequence[Precedent], Sequence[Precedent]]:
    """Need what other jobs have shown that a new one is to begin with."""
    return (yield Precedents(specification.job_id, specification.job_id_prefix, named, reach))


def explorations(job: Job) -> Generator[Need, Mapping[int, Sequence[Trial]], Mapping[int, Sequence[Trial]]]:
    """Need a job's explorations."""
    return (yield Explorations(job.job_id))


def newest_exploration(job: Job, batch_size: int) -> Generator[Need, int, int]:
    """Need the number of the newest exploration of a batch size."""
    return (yield NewestExploration(job.job_id, batch_size))


def leased(job: Job) -> Generator[Need, Sequence[Trial], Sequence[Trial]]:
    """Need a job's running trials that hold leases."""
    return (yield Leased(job.job_id))


def arms(job: Job) -> Generator[Need, Mapping[int, Arm], Mapping[int, Arm]]:
    """Need a job's arms."""
    return (yield Arms(job.job_id))


def results(job: Job, batch_size: int) -> Generator[Need, History, History]:
    """Need the results of a batch size, within the job's window."""
    return (yield Results(job.job_id, batch_size, max(job.window_size, 0)))


def sums(job: Job, batch_size: int) -> Generator[Need, Sums | None, Sums | None]:
    """Need the running sums of a batch size."""
    return (yield RunningSums(job.job_id, batch_size))


def costs(job: Job) -> Generator[Need, Costs, Costs]:
    """Need what the results of a job cost under its terms."""
    return (yield Costing(job))


def posteriors(
    job: Job, rewards: Sequence[NDArray[np.float64]]
) -> Generator[Need, Sequence[Posterior], Sequence[Posterior]]:
    """Need the posteriors of arms of a job."""
    return (yield Fit(job, rewards))


def choice(job: Job, arms: Sequence[Arm]) -> Generator[Need, Chosen, Chosen]:
    """Need a Thompson step."""
    return (yield Choice(job, arms))
