"""What recurs, and what counts as cost."""

import math
from typing import NamedTuple

from msgspec import Struct

STEP_SECONDS, IMAGE_SECONDS = 2e-3, 4e-6
"""What an optimiser step takes whatever its size, and what each image adds."""
STEP_WATTS, IMAGE_WATTS = 60.0, 250.0
"""What a GPU draws while it waits for the next step, and while it works on images."""
MAX_POWER = 300.0
"""What it draws at most, in watts."""
ETA = 0.5
"""The share of energy in the cost."""
BETA = 2.0
"""A training is stopped that costs more than so many times the cheapest."""


class Plan(Struct, frozen=True):
    """A training that recurs.

    ``trained`` and ``tested`` count images; a training has reached its target once it tells ``target`` of
    those tested. ``learning_rate`` is that of ``default_batch_size``, from which it is scaled. Recurrence
    r trains with seed r modulo ``seeds``. ``mab_seed`` is the job's.
    """

    trained: int
    tested: int
    batch_sizes: tuple[int, ...]
    default_batch_size: int
    learning_rate: float
    target: float
    max_epochs: int
    seeds: int
    recurrences: int
    mab_seed: int

    def declared(self, batch_size: int, epochs: int) -> "Spending":
        """Return what so many epochs take."""
        return spent(epochs * math.ceil(self.trained / batch_size), epochs * self.trained)

    def cost(self, batch_size: int, epochs: int) -> float:
        """Return the declared cost of so many epochs, in joules."""
        seconds, joules = self.declared(batch_size, epochs)
        return ETA * joules + (1 - ETA) * MAX_POWER * seconds


class Spending(NamedTuple):
    """Seconds and joules."""

    seconds: float
    joules: float


def spent(steps: int, images: int) -> Spending:
    """Return what steps on so many images take altogether, as declared."""
    step_seconds, image_seconds = steps * STEP_SECONDS, images * IMAGE_SECONDS
    return Spending(step_seconds + image_seconds, step_seconds * STEP_WATTS + image_seconds * IMAGE_WATTS)


FULL = Plan(
    trained=60_000,
    tested=10_000,
    batch_sizes=(32, 64, 128, 256, 512, 1024, 2048, 4096),
    default_batch_size=256,
    learning_rate=1e-3,
    target=0.88,
    max_epochs=24,
    seeds=10,
    recurrences=40,
    mab_seed=0,
)
"""As large as MNIST."""
SHORT = Plan(
    trained=12_000,
    tested=4_000,
    batch_sizes=(16, 64, 256, 1024, 4096),
    default_batch_size=64,
    learning_rate=1e-3,
    target=0.79,
    max_epochs=40,
    seeds=5,
    recurrences=24,
    mab_seed=0,
)
"""The same in little time."""
