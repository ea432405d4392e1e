import numpy as np
from numpy.typing import NDArray

def best(
    offsets: NDArray[np.int64], means: NDArray[np.float64], precisions: NDArray[np.float64]
) -> NDArray[np.float64]: ...
