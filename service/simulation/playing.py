"""Plays of many jobs: cut into pieces that depend on nobody, and what they came to as arrays."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.simulation.contenders import Contender, Remotely, stories
from service.simulation.recurrences import Story
from service.simulation.scenarios import Scenario

Numbers = NDArray[np.float64]

PIECE = 50
"""Seeds that are played together, however many workers there are: so nothing depends on these."""
LAST = 10
"""Trainings at the end that show what was learned."""


class Piece(NamedTuple):
    """Jobs of one scenario under one contender: those of so many seeds."""

    scenario: Scenario
    contender: Contender
    seeds: range


class Played(NamedTuple):
    """What jobs came to, a row a seed.

    ``time`` (seconds) and ``energy`` (joules) have a column a recurrence, failed trainings of it included;
    ``chosen`` a column a batch size: how many of the last trainings were at it. Of a job that ``is_stuck``
    the numbers are not whole. ``decisions`` are all suggestions and reports.
    """

    time: Numbers
    energy: Numbers
    chosen: NDArray[np.int64]
    is_stuck: NDArray[np.bool_]
    decisions: int


def pieces(scenarios: Iterable[Scenario], contenders: Sequence[Contender], seeds: int) -> list[Piece]:
    """Cut a simulation into pieces."""
    return [
        Piece(scenario, contender, range(first, min(first + PIECE, seeds)))
        for scenario in scenarios
        for contender in contenders
        for first in range(0, seeds, PIECE)
    ]


def play(piece: Piece, remotely: Remotely | None = None) -> Played:
    """Play a piece.

    Raises:
        OpeningError: A run has no cost.
    """
    return joined([_reduced(piece, told) for told in _told(piece, remotely)])


def joined(parts: Sequence[Played]) -> Played:
    """Return what several pieces of the same scenario and contender came to."""
    return Played(
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.energy for part in parts]),
        np.concatenate([part.chosen for part in parts]),
        np.concatenate([part.is_stuck for part in parts]),
        sum(part.decisions for part in parts),
    )


def _told(piece: Piece, remotely: Remotely | None) -> Iterator[Story]:
    yield from stories(piece.contender, piece.scenario, piece.seeds, remotely)


def _reduced(piece: Piece, told: Story) -> Played:
    scenario, trainings = piece.scenario, told.trainings
    sizes = len(scenario.before.runs)

    def by_recurrence(what: str) -> Numbers:
        sums = np.bincount(trainings["recurrence"], trainings[what], scenario.recurrences)
        return np.asarray(sums, dtype=np.float64)[None]

    return Played(
        by_recurrence("time"),
        by_recurrence("energy"),
        np.bincount(trainings["size"][-LAST:], minlength=sizes)[None],
        np.array([told.is_stuck]),
        len(trainings) + int(trainings["epochs"].sum()),
    )
