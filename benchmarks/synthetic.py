"""Workloads that are made up: cost curves with one valley over the logarithm of the batch size."""

import math

import numpy as np

from benchmarks.workloads import Curve, Goal, Setting, Workload

RUNS = 20
"""How many trainings a batch size has to draw from: a finite number makes expected costs exact."""
MAX_EPOCHS = 60
UNTRAINED_ERROR = 100.0
HIGHER_SHARE = 0.7
"""How many of the workloads measure something that grows, such as accuracy."""


def synthetic(seed: int, count: int = 6, noise: float = 0.02) -> list[Workload]:
    """Make a family of workloads: the same seed, the same workloads.

    Over log2 of the batch size, both the epochs to the target and the time of an epoch fall and rise again,
    the shortest epochs at larger batch sizes than the fewest; the power rises towards the GPU's limit. The
    largest batch size or two, and sometimes the smallest, never reach the target. The default is a batch size
    that always does.

    Args:
        seed: Any integer from 0.
        count: How many workloads.
        noise: Relative standard deviation of one training's time and energy.
    """
    rng = np.random.default_rng(seed)
    return [_workload(f"synthetic-{number}", noise, rng) for number in range(1, count + 1)]


def _workload(name: str, noise: float, rng: np.random.Generator) -> Workload:
    """Draw one workload."""
    size = int(rng.integers(7, 11))
    smallest = int(rng.integers(2, 6))
    position = np.arange(size)
    fewest_epochs = rng.uniform(0.25, 0.5) * size
    fastest_epoch = rng.uniform(0.6, 0.8) * size
    epochs = rng.uniform(8, 20) * 2 ** (rng.uniform(0.05, 0.12) * (position - fewest_epochs) ** 2)
    times = 2 ** (rng.uniform(2, 8) + rng.uniform(0.03, 0.08) * (position - fastest_epoch) ** 2)
    max_power = float(rng.choice([250, 300, 400]))
    powers = max_power * np.linspace(rng.uniform(0.4, 0.6), rng.uniform(0.85, 0.98), size)
    hopeless = (position < rng.integers(0, 2)) | (position >= size - rng.integers(1, 3))
    goal = _goal(rng)
    settings = {
        2 ** (smallest + i): Setting(
            float(times[i]),
            float(powers[i]),
            _curves(goal, float(epochs[i]), hopeless=bool(hopeless[i]), rng=rng),
        )
        for i in range(size)
    }
    dependable = [size for size, setting in settings.items() if all(map(goal.epochs, setting.curves))]
    return Workload(
        name=name,
        gpu=f"{max_power:.0f} W GPU",
        goal=goal,
        default_batch_size=int(rng.choice(dependable)),
        max_power=max_power,
        noise=noise,
        settings=settings,
    )


def _goal(rng: np.random.Generator) -> Goal:
    """Draw a target: an accuracy to rise to or an error rate to sink to."""
    if rng.random() < HIGHER_SHARE:
        return Goal(round(rng.uniform(0.6, 0.95), 2), MAX_EPOCHS)
    return Goal(round(rng.uniform(10, 40), 1), MAX_EPOCHS, higher_is_better=False)


def _curves(goal: Goal, epochs: float, *, hopeless: bool, rng: np.random.Generator) -> tuple[Curve, ...]:
    """Draw the learning curves of a batch size that needs so many epochs, give or take."""
    needed = np.maximum(1, np.rint(epochs * rng.lognormal(0, 0.08, RUNS)))
    ceiling = rng.uniform(0.8, 0.97) if hopeless else 1.0
    return tuple(_curve(goal, int(n), ceiling) for n in needed)


def _curve(goal: Goal, needed: int, ceiling: float) -> Curve:
    """Return a curve that flattens out and stays ``ceiling`` of the way to the target from ``needed`` on."""
    untrained = 0.0 if goal.higher_is_better else UNTRAINED_ERROR
    way = goal.target_metric - untrained
    # 1 - exp(-3 t), scaled to be exactly 1 at t = 1, so that the target is reached at ``needed`` to the bit.
    progress = (
        min(1.0, math.expm1(-3 * epoch / needed) / math.expm1(-3)) for epoch in range(1, MAX_EPOCHS + 1)
    )
    return tuple(goal.target_metric - way * (1 - ceiling * share) for share in progress)
