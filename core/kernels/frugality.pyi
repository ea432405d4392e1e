import numpy as np
from numpy.typing import NDArray

WIDTH: int
SUSPECTS: int
MOST_SIZES: int

class Mind:
    def __init__(
        self,
        positions: NDArray[np.float64],
        default: int,
        known: NDArray[np.float64],
        watched: NDArray[np.float64],
        suspects: NDArray[np.float64],
        energy_weight: float,
        time_weight: float,
    ) -> None: ...
    @property
    def leader(self) -> int: ...
    @property
    def noise(self) -> float: ...
    @property
    def warmth(self) -> float: ...
    @property
    def watched(self) -> tuple[float, float]: ...
    @property
    def suspects(self) -> list[tuple[int, float, float, float, int, float]]: ...
    def costs(self) -> NDArray[np.float64]: ...
    def choose(
        self, number: int, max_epochs: float, usable: NDArray[np.uint8], stream: NDArray[np.uint64]
    ) -> tuple[int, int, float, float, NDArray[np.float64], NDArray[np.uint64]]: ...
    def is_worth_it(
        self, size: int, epoch: float, cost: float, ahead: float
    ) -> tuple[bool, float, float]: ...
    def learn(
        self, size: int, epochs: float, time: float, energy: float, ending: int, bound: float, number: int
    ) -> bool: ...
