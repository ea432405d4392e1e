"""The trainings of a workload by chance: the n-th of a batch size is the same whatever was trained before it.

So policies meet the same trainings (common random numbers), and what differs between them is their own. Each
seed and batch size has a PCG64 stream of its own. Source: A. M. Law, "Simulation Modeling and Analysis",
chapter 11.2.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.recurrences import Trainings
from service.errors import OpeningError
from service.simulation.workloads import Run, Spending, Workload

WORDS = 4
"""Of a stream's state, two of them the increment."""
LEAST_COST, MOST_COST = 1e-90, 1e90
"""Joules, which leave room for noise within what a cost may be."""


class Epoch(NamedTuple):
    """Where a training stands: its epoch, seconds and joules since it began, and the metric."""

    number: int
    time: float
    energy: float
    metric: float

    @property
    def spent(self) -> Spending:
        """What it has taken so far."""
        return Spending(self.time, self.energy)


def chances(workload: Workload, seeds: Sequence[int]) -> NDArray[np.uint64]:
    """Return the streams that trainings are drawn from, uint64 (seeds, batch sizes, 6)."""
    name = int.from_bytes(blake2b(workload.title.encode(), digest_size=8).digest())
    streams = np.zeros((len(seeds), len(workload.runs), 6), dtype=np.uint64)
    for row, seed in enumerate(seeds):
        for column, batch_size in enumerate(workload.batch_sizes):
            entropy = np.random.SeedSequence((seed, name, batch_size))
            streams[row, column, :WORDS] = entropy.generate_state(WORDS, np.uint64)
    streams[:, :, WORDS - 1] |= np.uint64(1)  # an increment is odd
    return streams


def drawn(workload: Workload, batch_size: int, rng: np.random.Generator) -> Run:
    """Draw one training at a batch size."""
    runs = workload.runs[batch_size]
    run = runs[int(rng.integers(len(runs)))]
    if workload.noise == 0:
        return run
    slower, hungrier = rng.lognormal(-(workload.noise**2) / 2, workload.noise, size=2)
    return Run(run.epoch_time * float(slower), run.epoch_energy * float(hungrier), run.curve)


def epoch_of(workload: Workload, run: Run, number: int) -> Epoch:
    """Return where a training is after so many epochs; where it fails before its time, none is left."""
    metric = run.curve[number - 1]
    has_failed = number == len(run.curve) and not workload.goal.reached(metric)
    said = workload.goal.max_epochs if has_failed else number
    return Epoch(said, number * run.epoch_time, number * run.epoch_energy, metric)


def read(workload: Workload, eta: float) -> Trainings:
    """Return the runs of a workload as the kernels read them.

    Raises:
        OpeningError: A run has no cost.
    """
    runs = [run for of_size in workload.runs.values() for run in of_size]
    offsets = np.cumsum([0, *(len(of_size) for of_size in workload.runs.values())])
    epochs = workload.goal.max_epochs
    curves = np.full((len(runs), epochs), np.nan)
    for row, run in enumerate(runs):
        whole = workload.whole(run)
        if not LEAST_COST < workload.cost(whole, eta) < MOST_COST:
            raise OpeningError(
                f"a run of {workload.title} cannot be costed: time {whole.time} s and energy {whole.energy} "
                f"J with eta {eta}; check the units: seconds, joules, watts"
            )
        curves[row, : len(run.curve)] = run.curve
    return Trainings(
        offsets,
        np.array([run.epoch_time for run in runs]),
        np.array([run.epoch_energy for run in runs]),
        np.array([len(run.curve) for run in runs]),
        curves,
        workload.goal.target_metric,
        workload.goal.higher_is_better,
        workload.noise,
        eta,
        workload.max_power,
    )
