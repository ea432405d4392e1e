import numpy as np
from numpy.typing import NDArray

def choose(
    offsets: NDArray[np.int64],
    means: NDArray[np.float64],
    precisions: NDArray[np.float64],
    observations: NDArray[np.int64],
    explorations: NDArray[np.int64],
    states: NDArray[np.uint64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint64]]: ...
