import numpy as np
from numpy.typing import NDArray

MOST_TRIES: int
TRIAL: np.dtype[np.void]

class Trainings:
    def __init__(
        self,
        offsets: NDArray[np.int64],
        times: NDArray[np.float64],
        energies: NDArray[np.float64],
        lengths: NDArray[np.int64],
        curves: NDArray[np.float64],
        target: float,
        is_higher_better: bool,
        noise: float,
        eta: float,
        max_power: float,
    ) -> None: ...
