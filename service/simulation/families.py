"""Workloads that are made up: families of cost curves over the batch size, whose optimum is known.

A batch size has a finite number of runs to draw from, so that expected costs are exact.
"""

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from service.simulation.workloads import Curve, Goal, Run, Workload

Numbers = NDArray[np.float64]

RUNS = 20
MAX_EPOCHS = 60
FEWEST, MOST = 8.0, 14.0
"""Epochs to the target where they are fewest."""
UNTRAINED_ERROR = 100.0
HIGHER_SHARE = 0.7
"""How many of the workloads measure something that grows, such as accuracy."""
BEST_SHARE = 0.5
"""Of the batch sizes that reach the target those that always do, the cheapest; others may be unsteady."""
DEAREST = 5.0
"""What the dearest batch size costs at most, by the best: beyond it nobody would offer it."""


class Family(StrEnum):
    """How costs lie over the logarithm of the batch size.

    ``valley`` falls and rises again, ``flat`` lies within 8 %, ``steep`` falls to an edge, ``ragged`` is a
    valley whose neighbours differ by chance, ``narrow`` has one batch size far below all others, ``many`` is
    a valley over 48 batch sizes.
    """

    VALLEY = "valley"
    FLAT = "flat"
    STEEP = "steep"
    RAGGED = "ragged"
    NARROW = "narrow"
    MANY = "many"


class Trouble(Struct, frozen=True):
    """What is wrong with the trainings of a family.

    ``noise``: relative standard deviation of a training's time and energy. ``hopeless``: share of the batch
    sizes, at the two ends, that never reach the target. ``unsteady``: share of the runs that fail of those
    batch sizes that are not among the best.
    """

    noise: float = 0.02
    hopeless: float = 0.2
    unsteady: float = 0.0


def synthetic(family: Family, seed: int, count: int, trouble: Trouble) -> list[Workload]:
    """Make workloads of a family: the same seed, the same workloads.

    The cost of a training is split at random between more epochs and longer ones; the power rises with the
    batch size towards the GPU's limit. Trainings learn fast at first and then slower; the smaller the batch
    size, the faster at first, so that curves cross. What is hopeless levels off below the target. The default
    is a batch size that always reaches it, rarely the best one.

    Args:
        family: How costs lie over the batch sizes.
        seed: Any integer from 0.
        count: How many workloads.
        trouble: What is wrong with their trainings.
    """
    place = list(Family).index(family)
    return [
        _workload(f"{family.value}-{number}", family, trouble, np.random.default_rng([seed, place, number]))
        for number in range(1, count + 1)
    ]


def _workload(name: str, family: Family, trouble: Trouble, rng: np.random.Generator) -> Workload:
    """Draw one workload."""
    sizes = _batch_sizes(family, rng)
    n = len(sizes)
    hopeless = _ends(n, trouble.hopeless, rng)
    able = np.flatnonzero(~hopeless)
    costs = np.full(n, DEAREST)
    costs[able] = np.minimum(DEAREST, _COSTS[family](len(able), rng))
    ranks = np.empty(n)
    ranks[np.argsort(np.where(hopeless, np.inf, costs), kind="stable")] = np.arange(n)
    steady = ~hopeless & (ranks < max(2, math.ceil(BEST_SHARE * len(able))))
    max_power = float(rng.choice([250, 300, 400]))
    powers = max_power * np.linspace(rng.uniform(0.4, 0.6), rng.uniform(0.85, 0.98), n)
    # Of the cost, half energy and half time at full power; a share of it is epochs, the rest their length.
    share = rng.uniform(0.3, 0.7)
    epochs = rng.uniform(FEWEST, MOST) * (costs / costs.min()) ** share
    watts = 0.5 * powers + 0.5 * max_power
    times = 2 ** rng.uniform(4, 9) * max_power * costs / epochs / watts * FEWEST
    shapes = np.linspace(rng.uniform(0.8, 1.0), rng.uniform(1.0, 1.4), n)
    goal = _goal(rng)
    runs = {}
    for i, size in enumerate(sizes):
        fails = np.ones(RUNS, bool) if hopeless[i] else _failing(trouble.unsteady, steady=bool(steady[i]))
        curves = _curves(goal, float(epochs[i]), float(shapes[i]), fails, rng)
        runs[size] = tuple(Run(float(times[i]), float(times[i] * powers[i]), curve) for curve in curves)
    return Workload(
        name=name,
        gpu=f"{max_power:.0f} W GPU",
        goal=goal,
        default_batch_size=sizes[int(rng.choice(np.flatnonzero(steady)))],
        max_power=max_power,
        noise=trouble.noise,
        runs=runs,
    )


def _batch_sizes(family: Family, rng: np.random.Generator) -> list[int]:
    if family is Family.MANY:
        step = int(rng.choice([4, 8, 16]))
        return [step * number for number in range(1, 49)]
    smallest = int(rng.integers(2, 6))
    return [2 ** (smallest + i) for i in range(int(rng.integers(7, 12)))]


def _ends(n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of n batch sizes are hopeless: a share of them, more of the large ones."""
    total = min(round(share * n), n - 3)
    lower = int(rng.integers(total // 2 + 1)) if total > 0 else 0
    place = np.arange(n)
    return (place < lower) | (place >= n - (total - lower))


def _valley(n: int, rng: np.random.Generator) -> Numbers:
    distance = (np.arange(n) - rng.uniform(0.2, 0.8) * (n - 1)) / (n - 1)
    return np.asarray(2 ** (rng.uniform(3, 8) * distance**2))


def _flat(n: int, rng: np.random.Generator) -> Numbers:
    return 1 + 0.08 * rng.random(n)


def _steep(n: int, rng: np.random.Generator) -> Numbers:
    slope = rng.uniform(1.5, 3.0) / (n - 1)
    rising = np.asarray(2 ** (slope * np.arange(n)), dtype=np.float64)
    return rising if rng.random() < 0.5 else rising[::-1]  # noqa: PLR2004  (as often as not)


def _ragged(n: int, rng: np.random.Generator) -> Numbers:
    return _valley(n, rng) * rng.uniform(1, 1.6, n)


def _narrow(n: int, rng: np.random.Generator) -> Numbers:
    costs = 1.6 + 0.2 * rng.random(n)
    costs[rng.integers(n)] = 1.0
    return costs


_COSTS: dict[Family, Callable[[int, np.random.Generator], Numbers]] = {
    Family.VALLEY: _valley,
    Family.FLAT: _flat,
    Family.STEEP: _steep,
    Family.RAGGED: _ragged,
    Family.NARROW: _narrow,
    Family.MANY: _valley,
}


def _goal(rng: np.random.Generator) -> Goal:
    """Draw a target: an accuracy to rise to or an error rate to sink to."""
    if rng.random() < HIGHER_SHARE:
        return Goal(round(rng.uniform(0.6, 0.95), 2), MAX_EPOCHS)
    return Goal(round(rng.uniform(10, 40), 1), MAX_EPOCHS, higher_is_better=False)


def _failing(share: float, *, steady: bool) -> NDArray[np.bool_]:
    """Return which runs never reach the target, at least one of them does."""
    failed = 0 if steady else min(RUNS - 1, round(share * RUNS))
    return np.arange(RUNS) < failed


def _curves(
    goal: Goal, epochs: float, shape: float, fails: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Curve, ...]:
    """Draw the learning curves of a batch size that needs so many epochs, give or take."""
    needed = np.clip(np.rint(epochs * rng.lognormal(0, 0.08, RUNS)), 1, MAX_EPOCHS).tolist()
    ceilings = np.where(fails, rng.uniform(0.7, 0.97, RUNS), 1.0).tolist()
    shapes = (shape * rng.lognormal(0, 0.05, RUNS)).tolist()
    return tuple(
        _curve(goal, int(n), ceiling, bent) for n, ceiling, bent in zip(needed, ceilings, shapes, strict=True)
    )


def _curve(goal: Goal, needed: int, ceiling: float, shape: float) -> Curve:
    """Return a curve that flattens out and stays ``ceiling`` of the way to the target from ``needed`` on."""
    untrained = 0.0 if goal.higher_is_better else UNTRAINED_ERROR
    way = goal.target_metric - untrained
    # 1 - exp(-3 t), scaled to be exactly 1 at t = 1, so that the target is reached at ``needed`` to the bit.
    progress = (
        min(1.0, math.expm1(-3 * (epoch / needed) ** shape) / math.expm1(-3))
        for epoch in range(1, MAX_EPOCHS + 1)
    )
    return tuple(goal.target_metric - way * (1 - ceiling * share) for share in progress)
