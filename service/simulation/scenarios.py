"""What a job of a simulation meets: what is trained, how often, how many at a time, and what changes."""

import math
from collections.abc import Iterator, Mapping
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from service.errors import OpeningError
from service.simulation.workloads import Run, Workload

STEP = 0.01
"""Of the tilt that makes a batch size dearer: powers of two of cost, by powers of two of batch size."""


class Terms(Struct, frozen=True):
    """What the jobs of a simulation are registered with, beside what their workload says."""

    eta_knob: float = 0.5
    beta_knob: float | None = 2.0
    num_pruning_rounds: int = 2
    window_size: int = 0
    mab_num_explorations: int = 2
    mab_prior_mean: float = 0.0
    mab_prior_precision: float = 0.0


class Scenario(Struct, frozen=True, kw_only=True):
    """A workload that recurs, up to ``concurrency`` trainings at a time.

    From recurrence ``change`` on (from 0) its trainings are those of ``after``. ``earlier`` is what the jobs
    train that others begin with, None for one that is made up.
    """

    before: Workload
    after: Workload
    change: int
    recurrences: int
    concurrency: int = 1
    terms: Terms = Terms()
    earlier: Workload | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        return self.before.title

    def workload_at(self, recurrence: int) -> Workload:
        """Return what is trained for a recurrence, from 0."""
        return self.after if recurrence >= self.change else self.before

    def phases(self) -> Iterator[tuple[Workload, int]]:
        """Go through what is trained, with how many recurrences there are of it."""
        first = min(self.change, self.recurrences)
        if first:
            yield self.before, first
        if first < self.recurrences:
            yield self.after, self.recurrences - first


def steady(workload: Workload, recurrences: int, concurrency: int, terms: Terms) -> Scenario:
    """Return a scenario in which nothing changes."""
    return Scenario(
        before=workload,
        after=workload,
        change=recurrences,
        recurrences=recurrences,
        concurrency=concurrency,
        terms=terms,
    )


def drifting(scenario: Scenario, change: int, dearer: float) -> Scenario:
    """Return a scenario whose costs move at a recurrence: the best batch size then costs more than another.

    All costs are tilted over the logarithm of the batch size, as little as it takes, until the best one is
    dearer by at least a share than the one that is best then; and scaled so that this one costs what the best
    one did before.

    Raises:
        OpeningError: There is no other batch size that reaches the target.
    """
    workload, eta = scenario.before, scenario.terms.eta_knob
    best = workload.best_batch_size(eta)
    costs = {size: workload.expected_cost(size, eta) for size in workload.batch_sizes}
    finite = {size: cost for size, cost in costs.items() if math.isfinite(cost)}
    if len(finite) == 1:
        raise OpeningError(f"nothing can move in {workload.title}: only batch size {best} reaches its target")
    for tilt in (sign * step * STEP for step in count(1) for sign in (1, -1)):
        tilted = {size: cost * (size / best) ** tilt for size, cost in finite.items()}
        cheapest = min(tilted.values())
        if costs[best] >= (1 + dearer) * cheapest:
            break
    factors = {size: (size / best) ** tilt * costs[best] / cheapest for size in costs}
    after = replace(workload, runs=_scaled(workload, factors))
    return replace(scenario, after=after, change=change)


def _scaled(workload: Workload, factors: Mapping[int, float]) -> dict[int, tuple[Run, ...]]:
    return {
        size: tuple(
            Run(run.epoch_time * factors[size], run.epoch_energy * factors[size], run.curve) for run in runs
        )
        for size, runs in workload.runs.items()
    }
