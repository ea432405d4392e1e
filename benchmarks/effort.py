"""How much a report measures."""

from msgspec import Struct


class Effort(Struct, frozen=True):
    """How long and how often: ``rounds`` of each load and kernel, ``pairs`` of requests of each ratio.

    ``seconds`` is what a load takes in a round, after ``warmup``. ``lengths`` are histories in finished
    trials, the first being what the others are compared with; ``memory`` is over how many jobs and trials the
    server is watched.
    """

    rounds: int
    seconds: float
    warmup: float
    connections: tuple[int, ...]
    replicas: tuple[int, ...]
    lengths: tuple[int, ...]
    pairs: int
    memory: tuple[int, int]


FULL = Effort(
    rounds=5,
    seconds=3,
    warmup=0.5,
    connections=(1, 8, 64, 256),
    replicas=(1, 2, 4),
    lengths=(10, 1_000, 100_000),
    pairs=20_000,
    memory=(10_000, 100_000),
)
QUICK = Effort(
    rounds=1,
    seconds=0.5,
    warmup=0.1,
    connections=(1, 8),
    replicas=(1, 2),
    lengths=(10, 400),
    pairs=100,
    memory=(100, 1_000),
)
