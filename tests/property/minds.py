"""What the tests of policy frugal's beliefs and of its decisions share."""

from collections.abc import Iterable, Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from core.kernels import frugality as kernel
from core.kernels.twins import frugality as twin
from core.kernels.twins.beliefs import Column, Whose
from core.kernels.twins.results import CONVERGED
from core.kernels.twins.stream import row_of
from tests.strategies import Ended, Floats, Lesson

Mind = kernel.Mind | twin.Mind

NOTHING_WATCHED = np.zeros(2)
NO_SUSPECTS = np.empty((0, 6))


def nothing_known(n: int) -> Floats:
    """Return the rows of batch sizes of which nothing is known."""
    known = np.zeros((n, len(Column)))
    known[:, Column.BOUND] = -np.inf
    return known


def mind_of(frugality: ModuleType, lesson: Lesson, known: Floats) -> Mind:
    """Return a mind that knows what it is told, and doubts nothing."""
    weights = lesson.energy_weight, lesson.time_weight
    mind: Mind = frugality.Mind(
        lesson.positions, lesson.default, known, NOTHING_WATCHED, NO_SUSPECTS, *weights
    )
    return mind


def twin_of(lesson: Lesson, known: Floats) -> twin.Mind:
    """Return the twin's mind that knows what it is told."""
    weights = lesson.energy_weight, lesson.time_weight
    return twin.Mind(lesson.positions, lesson.default, known, NOTHING_WATCHED, NO_SUSPECTS, *weights)


def taught(mind: Mind, results: Iterable[Ended], *, first: int = 1) -> list[bool]:
    """Let a mind learn results; return whether costs have drifted at each."""
    return [mind.learn(*result, number) for number, result in enumerate(results, first)]


def educated(frugality: ModuleType, lesson: Lesson) -> tuple[Mind, Floats]:
    """Return a mind after a lesson, with the trainings that run, and what is known."""
    known = nothing_known(len(lesson.positions))
    mind = mind_of(frugality, lesson, known)
    taught(mind, lesson.results)
    known[:, Column.RUNNING] = lesson.running
    return mind_of(frugality, lesson, known), known


def inherited(
    known: Floats,
    epochs: Floats | Sequence[float],
    energy: Floats | Sequence[float],
    whose: Whose = Whose.ANOTHERS,
) -> None:
    """Let a past have shown what every batch size takes, joules an epoch."""
    known[:, Column.INHERITED_FROM] = whose
    known[:, Column.INHERITED_EPOCHS] = np.log(epochs)
    known[:, Column.INHERITED_ENERGY] = energy
    known[:, Column.INHERITED_TIME] = np.array(energy) / 200
    known[:, Column.INHERITED_DOUBT] = 0.01


def knowing(frugality: ModuleType, positions: Sequence[float], known: Floats, default: int = 0) -> Mind:
    """Return a mind that pays for joules alone."""
    return mind_of(frugality, Lesson(np.array(positions, dtype=float), default, 1.0, 0.0, [], []), known)


def converged(size: int, epochs: float, energy: float) -> Ended:
    """Return a training that has reached its target; joules are those of an epoch."""
    return Ended(size, epochs, epochs * energy / 200, epochs * energy, CONVERGED, -np.inf)


def steadily(
    sizes: Sequence[int], epochs: Sequence[float], energy: Sequence[float], times: int
) -> list[Ended]:
    """Return trainings that take turns, each as long as its batch size takes."""
    return [converged(size, epochs[size], energy[size]) for _ in range(times) for size in sizes]


def stream_of(seed: int) -> NDArray[np.uint64]:
    """Return a job's stream."""
    return row_of(np.random.default_rng(seed).bit_generator)[None]


def all_usable(n: int) -> NDArray[np.uint8]:
    """Return that any batch size may be chosen."""
    return np.ones(n, dtype=np.uint8)


def is_close_call(lesson: Lesson, known: Floats, number: int, usable: NDArray[np.uint8]) -> bool:
    """Tell whether the two best probes, or one and none, are as good as each other but for rounding."""
    worths = [probe.worth for probe in twin_of(lesson, known).probes(number, usable)]
    second, best = sorted([0.0, 0.0, *worths])[-2:]
    return best - second < 1e-6 * max(best, 1.0)
