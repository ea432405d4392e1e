"""Twin of how ``core.kernels.frugality`` keeps results."""

import math
from typing import NamedTuple

from core.kernels.twins.beliefs import Column, Floats

CONVERGED, BEYOND_BOUND, HOPELESS = 0, 1, 3
PAUSE, MEMORY, WIDEST = 8, 50.0, 9.0
FADING_EPOCHS = [
    Column.SUCCESSES,
    Column.EPOCHS,
    Column.FAILURES,
    Column.FAILED_EPOCHS,
    Column.SQUARES_EPOCHS,
]
FADING_RUNS = [Column.RUNS, Column.RUN_EPOCHS, Column.TIME, Column.ENERGY, Column.SQUARES_RATE]


class Result(NamedTuple):
    """How a training came to an end; see the kernel."""

    size: int
    epochs: float
    time: float
    energy: float
    ending: int
    bound: float


def unbounded(result: Result) -> Result:
    """Return a result that was stopped at a bound as one that was just stopped: it holds no more."""
    if result.ending != BEYOND_BOUND:
        return result
    return result._replace(ending=HOPELESS, bound=math.log(result.epochs + 0.5))


def scatter(row: Floats, count: Column, mean: Column, squares: Column, value: float, noise: float) -> None:
    """Add a value to a count, a mean, and the sum of squares about it, of which it adds only so much."""
    n, apart = row[count], value - row[mean]
    row[squares] += min(apart * apart * n / (n + 1), WIDEST * noise)
    row[mean] = (n * row[mean] + value) / (n + 1)
    row[count] = n + 1


def add(row: Floats, result: Result, number: int, noise: float) -> None:
    """Add a result to what is known of its batch size."""
    rate = math.log(result.time) - math.log(result.epochs)
    scatter(row, Column.RUNS, Column.MEAN_RATE, Column.SQUARES_RATE, rate, noise)
    row[[Column.RUN_EPOCHS, Column.TIME, Column.ENERGY]] += result.epochs, result.time, result.energy
    if result.ending == CONVERGED:
        epochs = math.log(result.epochs)
        scatter(row, Column.SUCCESSES, Column.MEAN_EPOCHS, Column.SQUARES_EPOCHS, epochs, noise)
        row[Column.EPOCHS] += result.epochs
    else:
        row[Column.RETRY] = number + PAUSE * 2 ** min(row[Column.STOPS], 20)
        row[Column.STOPS] += 1
        bound = result.bound
        if result.ending != HOPELESS:
            row[[Column.FAILURES, Column.FAILED_EPOCHS]] += 1, result.epochs
            bound = math.log(row[Column.FAILED_EPOCHS] + 0.5)
        row[Column.BOUND] = max(row[Column.BOUND], bound)
    for columns in (FADING_EPOCHS, FADING_RUNS):
        row[columns] *= min(1.0, MEMORY / max(row[columns[0]], 1.0))
