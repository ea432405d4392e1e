"""Recurring trainings as data: what a training at each batch size costs and when it reaches its target.

``benchmarks.traces`` reads workloads from recorded trainings, ``benchmarks.synthetic`` makes them up.
"""

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct

Curve = tuple[float, ...]
"""A training's metric after every epoch, up to its workload's ``max_epochs``."""


class Spending(NamedTuple):
    """What trainings took: seconds and joules."""

    time: float
    energy: float


class Epoch(NamedTuple):
    """Where a training stands after an epoch: seconds and joules since it began, and the metric."""

    time: float
    energy: float
    metric: float


class Setting(Struct, frozen=True):
    """One batch size of a workload.

    ``epoch_time`` is in seconds, ``power`` in watts; a training follows any one of ``curves``.
    """

    epoch_time: float
    power: float
    curves: tuple[Curve, ...]


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

    def epochs_to_success(self, curves: tuple[Curve, ...]) -> float:
        """Return the epochs that one success costs on average, failed trainings included; inf without one."""
        reached = [self.epochs(curve) for curve in curves]
        successes = sum(epochs is not None for epochs in reached)
        return sum(epochs or self.max_epochs for epochs in reached) / successes if successes else math.inf


class Workload(Struct, frozen=True, kw_only=True):
    """A training that recurs on one GPU.

    ``max_power`` is in watts. ``noise`` is the relative standard deviation of one training's time, and of its
    energy, around what its setting says.
    """

    name: str
    gpu: str
    goal: Goal
    default_batch_size: int
    max_power: float
    noise: float
    settings: dict[int, Setting]

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} on {self.gpu}"

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes to choose from, ascending."""
        return sorted(self.settings)

    def train(self, batch_size: int, rng: np.random.Generator) -> list[Epoch]:
        """Draw one training, as it goes on until somebody stops it."""
        setting = self.settings[batch_size]
        curve = setting.curves[rng.integers(len(setting.curves))]
        slower, hungrier = rng.lognormal(-(self.noise**2) / 2, self.noise, size=2)
        time = setting.epoch_time * float(slower)
        energy = setting.epoch_time * setting.power * float(hungrier)
        return [Epoch(epoch * time, epoch * energy, metric) for epoch, metric in enumerate(curve, 1)]

    def expected(self, batch_size: int) -> Spending:
        """Return what reaching the target once takes on average; inf where it is never reached.

        This is a user who always takes this batch size, stops nothing early and relaunches what failed.
        """
        setting = self.settings[batch_size]
        time = setting.epoch_time * self.goal.epochs_to_success(setting.curves)
        return Spending(time, time * setting.power)

    def cost(self, spending: Spending, eta: float) -> float:
        """Return the energy-time cost in joules, ``eta`` being the share of energy in it."""
        return eta * spending.energy + (1 - eta) * self.max_power * spending.time

    def best_batch_size(self, eta: float) -> int:
        """Return the batch size with the lowest expected cost."""
        return min(self.batch_sizes, key=lambda batch_size: self.cost(self.expected(batch_size), eta))
