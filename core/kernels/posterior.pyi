import numpy as np
from numpy.typing import NDArray

def fit(
    rewards: NDArray[np.float64],
    offsets: NDArray[np.int64],
    prior_means: NDArray[np.float64],
    prior_precisions: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
def fit_compensated(
    rewards: NDArray[np.float64],
    offsets: NDArray[np.int64],
    prior_means: NDArray[np.float64],
    prior_precisions: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
