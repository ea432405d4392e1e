import numpy as np
from numpy.typing import NDArray

from core.kernels.recurrences import Trainings

def play(
    before: Trainings,
    after: Trainings,
    change: int,
    chances: NDArray[np.uint64],
    streams: NDArray[np.uint64],
    recurrences: int,
    *,
    default: int,
    beta: float,
    rounds: int,
    explorations: int,
    window: int,
    prior_mean: float,
    prior_precision: float,
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]: ...
