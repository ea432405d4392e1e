"""What is compared: policies of the service, and what people do without it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from typing import Protocol

import numpy as np

from core.kernels.recurrences import TRIAL
from core.needs import Precedent
from core.records import Policy
from service.simulation import bulk
from service.simulation.beginnings import EARLIER, precedent_in_memory, precedent_of, source_of
from service.simulation.bulk import Jobs, Stories
from service.simulation.deciders import InMemory, Search
from service.simulation.recurrences import Decider, Story, story_of
from service.simulation.scenarios import Scenario, steady
from service.simulation.trainings import chances


class Contender(StrEnum):
    """Who decides: a plan that people make, or a policy of the service.

    ``default`` always takes the default batch size, ``oracle`` the one that is best on average, ``grid`` each
    one once in ascending order and from then on the cheapest of those; none of the three stops early.
    ``frugal-warm`` is policy ``frugal`` of a job that begins with what another one has shown.
    """

    DEFAULT = "default"
    ORACLE = "oracle"
    GRID = "grid"
    ZEUS = "zeus"
    FRUGAL = "frugal"
    FRUGAL_WARM = "frugal-warm"


POLICIES = {
    Contender.ZEUS: Policy.ZEUS,
    Contender.FRUGAL: Policy.FRUGAL,
    Contender.FRUGAL_WARM: Policy.FRUGAL,
}
"""Those that the service decides for."""


class Remote(Decider, Protocol):
    """A service that decides for a job of a name."""

    @property
    def job_id(self) -> str:
        """How the service calls the job."""


Remotely = Callable[[Scenario, Policy, int, str | None], AbstractContextManager[Remote]]
"""Who decides instead of core: for a scenario, under a policy, for the job of a seed, which begins with what
a job of a name has shown, or with nothing."""


def stories(
    contender: Contender, scenario: Scenario, seeds: Sequence[int], remotely: Remotely | None = None
) -> list[Story]:
    """Let a job a seed recur; where a service decides for its policies, it may be asked.

    Raises:
        OpeningError: A run has no cost.
    """
    if contender in POLICIES and remotely is not None:
        return _asked(contender, scenario, seeds, remotely)
    if contender is not Contender.ORACLE:
        return _played(contender, scenario, seeds)
    # It knows when the costs change: then it takes another batch size, whose trainings are others anyway.
    parts = [
        _played(contender, steady(workload, n, scenario.concurrency, scenario.terms), seeds)
        for workload, n in scenario.phases()
    ]
    return [_joined(of_seed, scenario) for of_seed in zip(*parts, strict=True)]


def _asked(contender: Contender, scenario: Scenario, seeds: Sequence[int], remotely: Remotely) -> list[Story]:
    told, policy = [], POLICIES[contender]
    for seed, row in zip(seeds, chances(scenario.before, seeds), strict=True):
        with ExitStack() as jobs:
            begins_with = None
            if contender is Contender.FRUGAL_WARM:
                source, earlier = source_of(scenario), seed + EARLIER
                first = jobs.enter_context(remotely(source, policy, earlier, None))
                story_of(first, source, chances(source.before, [earlier])[0])
                begins_with = first.job_id
            decider = jobs.enter_context(remotely(scenario, policy, seed, begins_with))
            told.append(story_of(decider, scenario, row))
    return told


def _played(contender: Contender, scenario: Scenario, seeds: Sequence[int]) -> list[Story]:
    jobs = Jobs(scenario, seeds, chances(scenario.before, seeds))
    begin_with = precedents(scenario, seeds) if contender is Contender.FRUGAL_WARM else None
    known: Sequence[Precedent | None] = begin_with or [None for _ in seeds]
    told = _in_bulk(contender, jobs, begin_with)
    return [
        story or story_of(_decider(contender, scenario, seed, begins_with), scenario, row)
        for seed, row, story, begins_with in zip(seeds, jobs.chances, told, known, strict=True)
    ]


def _in_bulk(contender: Contender, jobs: Jobs, begin_with: Sequence[Precedent] | None) -> Stories:
    if contender is Contender.ZEUS:
        return bulk.zeus(jobs)
    if contender in POLICIES:
        return bulk.frugal(jobs, begin_with)
    return bulk.search(jobs, _searched(contender, jobs.scenario))


def precedents(scenario: Scenario, seeds: Sequence[int]) -> list[Precedent]:
    """Let the jobs recur that those of the seeds begin with, cold, and return what each has shown."""
    source, earlier = source_of(scenario), [seed + EARLIER for seed in seeds]
    jobs = Jobs(source, earlier, chances(source.before, earlier))
    found = []
    for seed, row, story in zip(earlier, jobs.chances, bulk.frugal(jobs), strict=True):
        if story is not None:
            found.append(precedent_of(source, seed, story))
            continue
        decider = InMemory(source, Policy.FRUGAL, seed)
        story_of(decider, source, row)
        found.append(precedent_in_memory(decider))
    return found


def decider_of(contender: Contender, scenario: Scenario, seed: int) -> Decider:
    """Return who decides for a job of a seed."""
    is_warm = contender is Contender.FRUGAL_WARM
    return _decider(contender, scenario, seed, precedents(scenario, [seed])[0] if is_warm else None)


def _decider(contender: Contender, scenario: Scenario, seed: int, begins_with: Precedent | None) -> Decider:
    if contender in POLICIES:
        known = () if begins_with is None else (begins_with,)
        return InMemory(scenario, POLICIES[contender], seed, known)
    return Search(scenario.before, _searched(contender, scenario), scenario.terms.eta_knob)


def _searched(contender: Contender, scenario: Scenario) -> list[int]:
    """Return the batch sizes that somebody searches."""
    workload = scenario.before
    if contender is Contender.GRID:
        return workload.batch_sizes
    is_default = contender is Contender.DEFAULT
    return [workload.default_batch_size if is_default else workload.best_batch_size(scenario.terms.eta_knob)]


def _joined(parts: Sequence[Story], scenario: Scenario) -> Story:
    """Return the stories of one time after another as one."""
    trainings = np.concatenate([part.trainings for part in parts])
    begins = np.cumsum([0, *(n for _, n in scenario.phases())])
    trainings["recurrence"] += np.repeat(begins[: len(parts)], [len(part.trainings) for part in parts])
    return Story(trainings.astype(TRIAL, copy=False), any(part.is_stuck for part in parts))
