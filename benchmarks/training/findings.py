"""What exhaustive search finds: the cheapest batch size, and how far from it another is."""

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from benchmarks.training.plans import Plan

Curves = dict[int, dict[int, list[float]]]
"""The accuracy after every epoch, by batch size and seed, until the target is reached."""
NEAR = 0.05
"""How much more than the cheapest a batch size may cost that is as good."""


class Found(Struct, frozen=True):
    """A batch size: the epochs of each seed, None where it never arrives; the mean cost in joules.

    A batch size that does not arrive with every seed is not usable, and costs infinitely much.
    """

    batch_size: int
    epochs: list[int | None]
    cost: float


def findings(plan: Plan, curves: Curves) -> list[Found]:
    """Return what was found of each batch size.

    Raises:
        ValueError: No batch size is usable.
    """
    found = [_found(plan, size, curves[size]) for size in plan.batch_sizes]
    if all(math.isinf(each.cost) for each in found):
        raise ValueError("no batch size reaches the target with every seed")
    return found


def excess(found: Sequence[Found], batch_size: int) -> float:
    """Return how much more than the cheapest a batch size costs, as a share of the cheapest."""
    [cost] = [each.cost for each in found if each.batch_size == batch_size]
    return cost / min(each.cost for each in found) - 1


def epochs_to_target(plan: Plan, curve: Sequence[float]) -> int | None:
    """Return the epoch that reaches the target, counted from 1, None where none does."""
    return next((epoch for epoch, metric in enumerate(curve, 1) if metric >= plan.target), None)


def most_chosen(batch_sizes: Sequence[int]) -> int:
    """Return the batch size chosen most often, of several the one chosen last."""
    return max(reversed(batch_sizes), key=batch_sizes.count)


def _found(plan: Plan, batch_size: int, by_seed: dict[int, list[float]]) -> Found:
    epochs = [epochs_to_target(plan, by_seed[seed]) for seed in range(plan.seeds)]
    costs = [math.inf if each is None else plan.cost(batch_size, each) for each in epochs]
    return Found(batch_size, epochs, fmean(costs))
