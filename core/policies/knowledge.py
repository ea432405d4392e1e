"""What policy ``frugal`` keeps of a job, as the text that stands with it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from core.kernels.frugality import MOST_SIZES, WIDTH

Level = tuple[int, float]
"""An epoch, from 1, and the best metric by its end."""

MOST_LEVELS = 128
"""Of a learning curve: where there are more, every other one is dropped."""
MOST_RUNNING = 256
"""Trainings that are known to run: of more, the newest."""
MOST_TRIED = 40
"""Of the batch sizes that are considered at a time, where a job has more: the rest are spread over all."""


class Seen(Struct, frozen=True, array_like=True):
    """What trainings at a batch size have shown, in the order of ``core.kernels.beliefs``.

    ``bound`` is None where there is none. ``results`` counts them all, whatever has faded of the rest.
    """

    successes: float = 0.0
    epochs: float = 0.0
    mean_epochs: float = 0.0
    squares_epochs: float = 0.0
    failures: float = 0.0
    failed_epochs: float = 0.0
    runs: float = 0.0
    run_epochs: float = 0.0
    time: float = 0.0
    energy: float = 0.0
    mean_rate: float = 0.0
    squares_rate: float = 0.0
    bound: float | None = None
    stops: float = 0.0
    retry: float = 0.0
    results: int = 0


COLUMNS = len(Seen.__struct_fields__) - 1
"""Those of a row that the kernel reads first."""
BOUND = Seen.__struct_fields__.index("bound")
RUNNING, INHERITED = COLUMNS, COLUMNS + 1


class Whose(IntEnum):
    """Whose past is inherited, as ``core.kernels.beliefs`` has it."""

    NOBODYS = 0
    ANOTHERS = 1
    OWN = 2


class Inherited(Struct, frozen=True, array_like=True):
    """What another job has shown of a batch size, or this one before its costs drifted.

    Seconds and joules an epoch, the logarithm of the epochs to the target, and the variance of that.
    """

    time: float
    energy: float
    epochs: float
    doubt: float


class Suspect(Struct, frozen=True, array_like=True):
    """A result that may show a drift: how it ended is as ``core.kernels.frugality`` has it."""

    batch_size: int
    epochs: float
    time: float
    energy: float
    ending: int
    bound: float | None


class Leader(Struct, frozen=True, array_like=True):
    """The batch size that is believed to be the best, and the joules of cost that it is believed to take."""

    batch_size: int
    cost: float


class Knowledge(Struct, frozen=True, omit_defaults=True):
    """All that is known of a job.

    Its batch sizes, ascending; what was ``seen`` of those that were tried; the learning curve of the first
    training that converged at each; the batch size of each trial that runs; what was ``inherited`` from other
    jobs, and what was known ``before`` the last drift, which takes its place; whether trainings cost what
    they are expected to, with the results that make one doubt it; and the leader.
    """

    batch_sizes: tuple[int, ...]
    seen: Mapping[int, Seen] = {}
    curves: Mapping[int, Sequence[Level]] = {}
    running: Mapping[int, int] = {}
    inherited: Mapping[int, Inherited] = {}
    before: Mapping[int, Inherited] = {}
    watched: tuple[float, float] = (0.0, 0.0)
    suspects: Sequence[Suspect] = ()
    leader: Leader | None = None


class Course(Struct, frozen=True, omit_defaults=True):
    """What is kept with a trial that runs: its learning curve, and once it is over how it has ended."""

    levels: Sequence[Level] = ()
    epochs: int = 0
    ending: int = 0
    bound: float | None = None


@lru_cache(maxsize=64)
def read(text: str) -> Knowledge:
    """Return what a text says.

    Raises:
        msgspec.DecodeError: It says nothing of the kind.
    """
    return msgspec.json.decode(text, type=Knowledge)


def write(kept: Knowledge | Course) -> str:
    """Return what is kept as a text."""
    return msgspec.json.encode(kept).decode()


def course_of(text: str | None) -> Course:
    """Return what is kept with a trial."""
    return Course() if text is None else msgspec.json.decode(text, type=Course)


def with_level(
    levels: Sequence[Level], epoch: int, metric: float, *, is_higher_better: bool
) -> Sequence[Level]:
    """Return a learning curve with a metric, where it is the best so far; infinities and NaN are no level."""
    if not math.isfinite(metric):
        return levels
    if levels and not (metric > levels[-1][1] if is_higher_better else metric < levels[-1][1]):
        return levels
    longer = (*levels, (epoch, metric))
    return longer if len(longer) <= MOST_LEVELS else longer[::-2][::-1]


def ahead_of(curve: Sequence[Level], level: float | None, *, is_higher_better: bool) -> int:
    """Return the epoch in which a curve was first further than a level, its last if never; 0 of no curve."""
    for epoch, metric in curve:
        if level is None or (metric > level if is_higher_better else metric < level):
            return epoch
    return curve[-1][0] if curve else 0


def considered(known: Knowledge, needed: Iterable[int], usable: Sequence[int]) -> list[int]:
    """Return the batch sizes to consider: all, or where they are too many those tried and some in between.

    Args:
        known: What is known of them.
        needed: Those without which nothing can be asked, a few.
        usable: Those to choose from, ascending: the rest are tried ones that tell of them.
    """
    if len(known.batch_sizes) <= MOST_SIZES:
        return list(known.batch_sizes)
    among = set(usable)
    tried = sorted(
        known.seen,
        key=lambda size: (
            size not in among,
            -known.seen[size].successes,
            -known.seen[size].runs,
            size not in known.before,
            size,
        ),
    )
    chosen = {*needed, *tried[:MOST_TRIED]}
    spread = np.linspace(0, len(usable) - 1, MOST_SIZES - len(chosen)).round().astype(int).tolist()
    return sorted(chosen.union(usable[place] for place in spread if usable))


def rows_of(known: Knowledge, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return what is known of batch sizes as the kernel reads it, float64 (sizes, WIDTH)."""
    past, whose = (known.before, Whose.OWN) if known.before else (known.inherited, Whose.ANOTHERS)
    rows = np.zeros((len(sizes), WIDTH))
    rows[:, BOUND] = -np.inf
    for row, size in zip(rows, sizes, strict=True):
        seen, inherited = known.seen.get(size), past.get(size)
        if seen is not None:
            row[:COLUMNS] = [-math.inf if v is None else v for v in astuple(seen)[:-1]]
        if inherited is not None:
            row[INHERITED:] = (whose, *astuple(inherited))
    if known.running:
        index = {size: place for place, size in enumerate(sizes)}
        for size in known.running.values():
            if size in index:
                rows[index[size], RUNNING] += 1
    return rows


def before_drift(rows: NDArray[np.float64], sizes: Sequence[int]) -> dict[int, Inherited]:
    """Return what was known of batch sizes before the last drift, from their rows."""
    return {
        size: Inherited(*row[INHERITED + 1 :])
        for size, row in zip(sizes, rows.tolist(), strict=True)
        if row[INHERITED] == Whose.OWN
    }


def seen_of(row: Sequence[float], results: int) -> Seen:
    """Return what was seen of a batch size from its row."""
    values = [None if value == -math.inf else value for value in row[:COLUMNS]]
    return msgspec.convert([*values, results], Seen)
