"""What is compared: policies of the service, and what people do without it."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels import recurring_frugal, recurring_grid, recurring_zeus, stream
from core.kernels.recurrences import TRIAL, Trainings
from core.records import Policy
from core.streams import seeded
from service.simulation.deciders import InMemory, Search
from service.simulation.recurrences import Decider, Story, story_of
from service.simulation.scenarios import Scenario, steady
from service.simulation.trainings import chances, read

BEYOND = -2
"""How a kernel says that it does not play a job."""


class Contender(StrEnum):
    """Who decides: a plan that people make, or a policy of the service.

    ``default`` always takes the default batch size, ``oracle`` the one that is best on average, ``grid`` each
    one once in ascending order and from then on the cheapest of those; none of the three stops early.
    """

    DEFAULT = "default"
    ORACLE = "oracle"
    GRID = "grid"
    ZEUS = "zeus"
    FRUGAL = "frugal"


POLICIES = {Contender.ZEUS: Policy.ZEUS, Contender.FRUGAL: Policy.FRUGAL}
"""Those that the service decides for."""

Told = tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]
"""What a kernel returns: see ``core.kernels.recurring_zeus.play``."""


class World(NamedTuple):
    """What every kernel plays in: its arguments there."""

    before: Trainings
    after: Trainings
    change: int
    chances: NDArray[np.uint64]
    streams: NDArray[np.uint64]
    recurrences: int


Remotely = Callable[[Scenario, Policy, int], AbstractContextManager[Decider]]
"""Who decides instead of core: for a scenario, under a policy, for the job of a seed."""


def stories(
    contender: Contender, scenario: Scenario, seeds: Sequence[int], remotely: Remotely | None = None
) -> list[Story]:
    """Let a job a seed recur; where a service decides for its policies, it may be asked.

    Raises:
        OpeningError: A run has no cost.
    """
    if contender in POLICIES and remotely is not None:
        return _asked(POLICIES[contender], scenario, seeds, remotely)
    if contender is not Contender.ORACLE:
        return _played(contender, scenario, seeds)
    # It knows when the costs change: then it takes another batch size, whose trainings are others anyway.
    parts = [
        _played(contender, steady(workload, n, scenario.concurrency, scenario.terms), seeds)
        for workload, n in scenario.phases()
    ]
    return [_joined(of_seed, scenario) for of_seed in zip(*parts, strict=True)]


def _asked(policy: Policy, scenario: Scenario, seeds: Sequence[int], remotely: Remotely) -> list[Story]:
    told = []
    for seed, row in zip(seeds, chances(scenario.before, seeds), strict=True):
        with remotely(scenario, policy, seed) as decider:
            told.append(story_of(decider, scenario, row))
    return told


def _played(contender: Contender, scenario: Scenario, seeds: Sequence[int]) -> list[Story]:
    drawn = chances(scenario.before, seeds)
    is_simple = scenario.concurrency == 1 and scenario.before.failures == 0
    told = _in_bulk(contender, scenario, seeds, drawn) if is_simple and contender in KERNELS else {}
    return [
        told.get(seed) or story_of(decider_of(contender, scenario, seed), scenario, row)
        for seed, row in zip(seeds, drawn, strict=True)
    ]


def decider_of(contender: Contender, scenario: Scenario, seed: int) -> Decider:
    """Return who decides for a job of a seed."""
    if contender in POLICIES:
        return InMemory(scenario, POLICIES[contender], seed)
    return Search(scenario.before, _searched(contender, scenario), scenario.terms.eta_knob)


def _searched(contender: Contender, scenario: Scenario) -> list[int]:
    """Return the batch sizes that somebody searches."""
    workload = scenario.before
    if contender is Contender.GRID:
        return workload.batch_sizes
    is_default = contender is Contender.DEFAULT
    return [workload.default_batch_size if is_default else workload.best_batch_size(scenario.terms.eta_knob)]


def _in_bulk(
    contender: Contender, scenario: Scenario, seeds: Sequence[int], drawn: NDArray[np.uint64]
) -> dict[int, Story]:
    """Let jobs recur in a kernel; those that need more than it plays are left out."""
    eta = scenario.terms.eta_knob
    before = read(scenario.before, eta)
    after = before if scenario.after is scenario.before else read(scenario.after, eta)
    streams = stream.decode([seeded(seed) for seed in seeds])
    world = World(before, after, scenario.change, drawn, streams, scenario.recurrences)
    trainings, counts, endings = KERNELS[contender](world, contender, scenario)
    return {
        seed: Story(row[:count], ending != 0)
        for seed, row, count, ending in zip(seeds, trainings, counts.tolist(), endings.tolist(), strict=True)
        if ending != BEYOND
    }


def _zeus(world: World, _: Contender, scenario: Scenario) -> Told:
    terms = scenario.terms
    return recurring_zeus.play(
        *world,
        default=scenario.before.batch_sizes.index(scenario.before.default_batch_size),
        beta=math.inf if terms.beta_knob is None else terms.beta_knob,
        rounds=terms.num_pruning_rounds,
        explorations=terms.mab_num_explorations,
        window=terms.window_size,
        prior_mean=terms.mab_prior_mean,
        prior_precision=terms.mab_prior_precision,
    )


def _frugal(world: World, _: Contender, scenario: Scenario) -> Told:
    terms, sizes = scenario.terms, scenario.before.batch_sizes
    return recurring_frugal.play(
        *world,
        np.log2(np.array(sizes, dtype=np.float64)),
        default=sizes.index(scenario.before.default_batch_size),
        beta=math.inf if terms.beta_knob is None else terms.beta_knob,
        rounds=max(terms.num_pruning_rounds, 1),
    )


def _search(world: World, contender: Contender, scenario: Scenario) -> Told:
    sizes = scenario.before.batch_sizes
    searched = [sizes.index(size) for size in _searched(contender, scenario)]
    return recurring_grid.play(*world, np.array(searched))


KERNELS: Mapping[Contender, Callable[[World, Contender, Scenario], Told]] = {
    Contender.DEFAULT: _search,
    Contender.ORACLE: _search,
    Contender.GRID: _search,
    Contender.ZEUS: _zeus,
    Contender.FRUGAL: _frugal,
}
"""What plays many seeds at once; who is not here is played job by job."""


def _joined(parts: Sequence[Story], scenario: Scenario) -> Story:
    """Return the stories of one time after another as one."""
    trainings = np.concatenate([part.trainings for part in parts])
    begins = np.cumsum([0, *(n for _, n in scenario.phases())])
    trainings["recurrence"] += np.repeat(begins[: len(parts)], [len(part.trainings) for part in parts])
    return Story(trainings.astype(TRIAL, copy=False), any(part.is_stuck for part in parts))
