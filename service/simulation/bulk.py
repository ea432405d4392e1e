"""Many jobs at once, in the kernels: those whose trainings come one after another, and none of which dies."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels import recurring_frugal, recurring_grid, recurring_zeus, stream
from core.kernels.frugality import MOST_SIZES
from core.kernels.recurrences import Trainings
from core.needs import Precedent
from core.policies.inheritance import inherited
from core.policies.knowledge import INHERITED, MOST_LEVELS, Knowledge, rows_of
from core.streams import seeded
from service.simulation.recurrences import Story
from service.simulation.scenarios import Scenario
from service.simulation.trainings import read

BEYOND = -2
"""How a kernel says that it does not play a job."""

Told = tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]
"""What a kernel returns: see ``core.kernels.recurring_zeus.play``."""
Stories = Sequence[Story | None]
"""What became of each job; None of one that needs more than its kernel plays."""


class Jobs(NamedTuple):
    """Jobs of a scenario, one a seed, with the streams that their trainings are drawn from."""

    scenario: Scenario
    seeds: Sequence[int]
    chances: NDArray[np.uint64]


class World(NamedTuple):
    """What every kernel plays in: its arguments there."""

    before: Trainings
    after: Trainings
    change: int
    chances: NDArray[np.uint64]
    streams: NDArray[np.uint64]
    recurrences: int


def search(jobs: Jobs, batch_sizes: Sequence[int]) -> Stories:
    """Let somebody search the best of some batch sizes.

    Raises:
        OpeningError: A run has no cost; so with the others.
    """
    if not _is_simple(jobs.scenario):
        return [None for _ in jobs.seeds]
    sizes = jobs.scenario.before.batch_sizes
    return _stories(recurring_grid.play(*_world(jobs), np.array([sizes.index(size) for size in batch_sizes])))


def zeus(jobs: Jobs) -> Stories:
    """Let policy ``zeus`` decide."""
    if not _is_simple(jobs.scenario):
        return [None for _ in jobs.seeds]
    terms = jobs.scenario.terms
    told = recurring_zeus.play(
        *_world(jobs),
        default=_default(jobs.scenario),
        beta=_beta(jobs.scenario),
        rounds=terms.num_pruning_rounds,
        explorations=terms.mab_num_explorations,
        window=terms.window_size,
        prior_mean=terms.mab_prior_mean,
        prior_precision=terms.mab_prior_precision,
    )
    return _stories(told)


def frugal(jobs: Jobs, precedents: Sequence[Precedent] | None = None) -> Stories:
    """Let policy ``frugal`` decide, each job beginning with a precedent where there are any."""
    workload = jobs.scenario.before
    sizes = workload.batch_sizes
    is_whole = len(sizes) <= MOST_SIZES and workload.goal.max_epochs <= MOST_LEVELS  # else core thins it out
    if not (_is_simple(jobs.scenario) and is_whole):
        return [None for _ in jobs.seeds]
    told = recurring_frugal.play(
        *_world(jobs),
        np.log2(np.array(sizes, dtype=np.float64)),
        None if precedents is None else np.array([beginning(sizes, each) for each in precedents]),
        default=_default(jobs.scenario),
        beta=_beta(jobs.scenario),
        rounds=max(jobs.scenario.terms.num_pruning_rounds, 1),
    )
    return _stories(told)


def beginning(batch_sizes: Sequence[int], precedent: Precedent) -> NDArray[np.float64]:
    """Return what a job begins with as the kernel reads it, float64 (batch sizes, 5)."""
    known = Knowledge(tuple(batch_sizes), inherited=inherited(batch_sizes, [precedent]))
    return rows_of(known, batch_sizes)[:, INHERITED:]


def _is_simple(scenario: Scenario) -> bool:
    return scenario.concurrency == 1 and scenario.before.failures == 0


def _default(scenario: Scenario) -> int:
    return scenario.before.batch_sizes.index(scenario.before.default_batch_size)


def _beta(scenario: Scenario) -> float:
    return math.inf if scenario.terms.beta_knob is None else scenario.terms.beta_knob


def _world(jobs: Jobs) -> World:
    scenario = jobs.scenario
    eta = scenario.terms.eta_knob
    before = read(scenario.before, eta)
    after = before if scenario.after is scenario.before else read(scenario.after, eta)
    streams = stream.decode([seeded(seed) for seed in jobs.seeds])
    return World(before, after, scenario.change, jobs.chances, streams, scenario.recurrences)


def _stories(told: Told) -> Stories:
    trainings, counts, endings = told
    return [
        None if ending == BEYOND else Story(row[:count], ending != 0)
        for row, count, ending in zip(trainings, counts.tolist(), endings.tolist(), strict=True)
    ]
