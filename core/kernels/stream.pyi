from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH: int

def decode(texts: Sequence[str]) -> NDArray[np.uint64]: ...
def encode(states: NDArray[np.uint64]) -> list[str]: ...
def step(states: NDArray[np.uint64], count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...
