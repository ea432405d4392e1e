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
    positions: NDArray[np.float64],
    inherited: NDArray[np.float64] | None = None,
    *,
    default: int,
    beta: float,
    rounds: int,
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]: ...
