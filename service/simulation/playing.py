"""Plays of many jobs: cut into pieces that depend on nobody, and what they came to."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.simulation.contenders import Contender, Remotely, stories
from service.simulation.estimates import Moments, Numbers, moments, pooled
from service.simulation.recurrences import Story
from service.simulation.scenarios import Scenario

PIECE = 50
"""Seeds that are played together, however many workers there are: so nothing depends on these."""
LAST = 10
"""Trainings at the end that show what was learned."""
NOTHING = np.empty(0, dtype=np.int64)


class Piece(NamedTuple):
    """Jobs of one scenario under one contender: those of so many seeds."""

    scenario: Scenario
    contender: Contender
    seeds: range


class Played(NamedTuple):
    """What jobs came to, a row a seed.

    ``spent`` has a column each for cost (joules), energy (joules) and time (seconds) of all recurrences,
    failed trainings included. ``relative`` has the same, each recurrence's by what the best batch size of its
    time takes on average. Of a job that ``is_stuck`` the numbers are not whole. What is not by seed leaves
    such jobs out: ``regrets`` up to each recurrence, and ``chosen``, how many of the last trainings were at
    each batch size. ``decisions`` are all suggestions and reports.
    """

    spent: Numbers
    relative: Numbers
    is_stuck: NDArray[np.bool_]
    regrets: Moments
    chosen: NDArray[np.int64]
    decisions: int

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Which seeds came to an end."""
        return ~self.is_stuck

    def regret(self) -> Numbers:
        """Return the regret of each seed, in trainings at the best batch size."""
        return np.asarray(self.relative[:, 0] - len(self.regrets.mean))


def pieces(scenarios: Iterable[Scenario], contenders: Sequence[Contender], seeds: int) -> list[Piece]:
    """Cut a simulation into pieces."""
    return [
        Piece(scenario, contender, range(first, min(first + PIECE, seeds)))
        for scenario in scenarios
        for contender in contenders
        for first in range(0, seeds, PIECE)
    ]


def play(piece: Piece, remotely: Remotely | None = None) -> Played:
    """Play a piece, and keep of it what does not grow with the recurrences.

    Raises:
        OpeningError: A run has no cost.
    """
    scenario = piece.scenario
    told = stories(piece.contender, scenario, piece.seeds, remotely)
    energy, time = (
        np.array([_by_recurrence(story, what, scenario.recurrences) for story in told])
        for what in ("energy", "time")
    )
    eta = scenario.terms.eta_knob
    cost = eta * energy + (1 - eta) * scenario.before.max_power * time
    spent = np.stack([cost, energy, time])
    # Where no energy was measured there is none to compare.
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = spent / _usual(scenario)[:, None]
    is_stuck = np.array([story.is_stuck for story in told])
    last = [story.trainings["size"][-LAST:] for story in told if not story.is_stuck]
    return Played(
        spent.sum(axis=2).T,
        relative.sum(axis=2).T,
        is_stuck,
        moments((relative[0, ~is_stuck] - 1).cumsum(axis=1)),
        np.bincount(np.concatenate([*last, NOTHING]), minlength=len(scenario.before.runs)),
        sum(len(story.trainings) + int(story.trainings["epochs"].sum()) for story in told),
    )


def joined(parts: Sequence[Played]) -> Played:
    """Return what several pieces of the same scenario and contender came to."""
    return Played(
        np.concatenate([part.spent for part in parts]),
        np.concatenate([part.relative for part in parts]),
        np.concatenate([part.is_stuck for part in parts]),
        pooled([part.regrets for part in parts]),
        np.sum([part.chosen for part in parts], axis=0),
        sum(part.decisions for part in parts),
    )


def _by_recurrence(story: Story, what: str, recurrences: int) -> Numbers:
    trainings = story.trainings
    return np.asarray(np.bincount(trainings["recurrence"], trainings[what], recurrences), dtype=np.float64)


def _usual(scenario: Scenario) -> Numbers:
    """Return what the best batch size takes on average: cost, energy and time of each recurrence."""
    eta = scenario.terms.eta_knob
    usual = []
    for workload, recurrences in scenario.phases():
        spent = workload.expected(workload.best_batch_size(eta))
        usual += [(workload.cost(spent, eta), spent.energy, spent.time)] * recurrences
    return np.array(usual).T
