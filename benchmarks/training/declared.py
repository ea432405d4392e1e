"""A GPU whose time and energy are declared: so much a step, so much an image."""

from batchbandit import Device, Energy
from benchmarks.training.plans import MAX_POWER, Spending, spent

SOURCE = "declared"


class DeclaredGpu:
    """The meter and the clock of one training, both driven by its steps.

    The same steps always cost the same, on every machine, while a real clock drifts with the load.
    """

    devices = (Device("declared-gpu", "declared", MAX_POWER),)

    def __init__(self) -> None:
        self._steps = self._images = 0
        self._joules_at_start = 0.0

    def step(self, images: int) -> None:
        """Take an optimiser step on so many images."""
        self._steps += 1
        self._images += images

    def clock(self) -> float:
        """Return the seconds since this GPU was made."""
        return self._spent().seconds

    def start(self) -> None:
        """Begin to measure."""
        self._joules_at_start = self._spent().joules

    def read(self) -> Energy:
        """Return the energy since the start."""
        return Energy(self._spent().joules - self._joules_at_start, SOURCE)

    def close(self) -> None:
        """Do nothing."""

    def _spent(self) -> Spending:
        return spent(self._steps, self._images)
