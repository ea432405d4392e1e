"""Recurring trainings as data: what a training at each batch size takes and when it reaches its target.

``recordings`` and ``traces`` read workloads from recorded trainings, ``families`` makes them up.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from service.errors import OpeningError

Curve = tuple[float, ...]
"""A training's metric after every epoch, the best level that it has reached so far."""


class Spending(NamedTuple):
    """What trainings took, or take on average: seconds and joules."""

    time: float
    energy: float


NEVER = Spending(math.inf, math.inf)


class Goal(Struct, frozen=True):
    """What a training is after: a metric to reach within so many epochs."""

    target_metric: float
    max_epochs: int
    higher_is_better: bool = True

    def reached(self, metric: float) -> bool:
        """Tell whether a metric is good enough."""
        return metric >= self.target_metric if self.higher_is_better else metric <= self.target_metric

    def epochs(self, curve: Curve) -> int | None:
        """Return the epoch that first reaches the target, counted from 1, or None where none does."""
        return next((epoch for epoch, metric in enumerate(curve, 1) if self.reached(metric)), None)

    def epochs_to_success(self, curves: Sequence[Curve]) -> float:
        """Return the epochs that one success costs on average, failed trainings included; inf without one."""
        reached = [self.epochs(curve) for curve in curves]
        successes = sum(epochs is not None for epochs in reached)
        return sum(epochs or self.max_epochs for epochs in reached) / successes if successes else math.inf


class Run(Struct, frozen=True):
    """A training as it goes on until somebody stops it: seconds and joules of an epoch, and its curve.

    A curve that ends before the workload's last epoch without reaching the target is one of a training that
    was ended there.
    """

    epoch_time: float
    epoch_energy: float
    curve: Curve


class Workload(Struct, frozen=True, kw_only=True):
    """A training that recurs, on one GPU where that is known; its runs by batch size, ascending.

    ``max_power`` is in watts. ``noise`` is the relative standard deviation of one training's time, and of its
    energy, around those of the run that it follows; ``failures`` the share of trainings that die without a
    result, at any epoch of those that they would have taken.
    """

    name: str
    gpu: str = ""
    goal: Goal
    default_batch_size: int
    max_power: float
    noise: float = 0.0
    failures: float = 0.0
    runs: Mapping[int, Sequence[Run]]

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} on {self.gpu}" if self.gpu else self.name

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes to choose from, ascending."""
        return list(self.runs)

    def length(self, run: Run) -> int:
        """Return after how many epochs a run has reached its target or, where it never does, has ended."""
        return self.goal.epochs(run.curve) or len(run.curve)

    def whole(self, run: Run) -> Spending:
        """Return what so many epochs take."""
        return Spending(self.length(run) * run.epoch_time, self.length(run) * run.epoch_energy)

    def expected(self, batch_size: int) -> Spending:
        """Return what reaching the target once takes on average; inf where it is never reached.

        This is a user who always takes this batch size, stops nothing early and repeats what failed.
        """
        runs = self.runs[batch_size]
        successes = sum(self.goal.epochs(run.curve) is not None for run in runs) * (1 - self.failures)
        if successes == 0:
            return NEVER
        # One that dies has taken any of 1 to n epochs, (n + 1) / 2 on average.
        epochs = [
            (1 - self.failures) * length + self.failures * (length + 1) / 2
            for length in map(self.length, runs)
        ]
        pairs = list(zip(epochs, runs, strict=True))
        return Spending(
            math.fsum(n * run.epoch_time for n, run in pairs) / successes,
            math.fsum(n * run.epoch_energy for n, run in pairs) / successes,
        )

    def cost(self, spending: Spending, eta: float) -> float:
        """Return the energy-time cost in joules, ``eta`` being the share of energy in it."""
        if spending == NEVER:
            return math.inf
        return eta * spending.energy + (1 - eta) * self.max_power * spending.time

    def expected_cost(self, batch_size: int, eta: float) -> float:
        """Return what reaching the target once costs on average, in joules; inf where it is never reached."""
        return self.cost(self.expected(batch_size), eta)

    def best_batch_size(self, eta: float) -> int:
        """Return the batch size with the lowest expected cost.

        Raises:
            OpeningError: None ever reaches the target.
        """
        best = min(self.batch_sizes, key=lambda size: self.expected_cost(size, eta))
        if self.expected(best) == NEVER:
            raise OpeningError(f"no run of {self.title} reaches its target; record one that does")
        return best
