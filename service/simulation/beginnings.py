"""What a job that begins warm begins with: one that has recurred before it, with the same on another GPU."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count

import numpy as np
from msgspec.structs import replace

from core.needs import MOST_TRIALS, Precedent
from core.records import Policy, Trial, TrialStatus, TrialType
from service.simulation.deciders import InMemory, job_of
from service.simulation.recurrences import Story
from service.simulation.scenarios import Scenario, steady
from service.simulation.workloads import Run, Workload

EARLIER = 2**40
"""Between the seed of a job and that of the one that it begins with."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
POWERS = (200.0, 250.0, 300.0, 400.0, 700.0)
"""Watts of other GPUs."""
FASTER = 1.0
"""At most how much faster or slower another GPU is, in powers of two; so below."""
TILT = 0.15
"""And what it gains or loses with each doubling of the batch size, in time,"""
POWER_TILT = 0.05
"""and in power."""


def source_of(scenario: Scenario) -> Scenario:
    """Return what a job has met that the scenario's begin with: as many recurrences, and nothing changed."""
    workload = scenario.earlier or elsewhere(scenario.before)
    return steady(workload, scenario.recurrences, scenario.concurrency, scenario.terms)


def elsewhere(workload: Workload) -> Workload:
    """Make up how a workload would train on another GPU: as many epochs, which take other time and energy.

    What differs is smooth over the batch size. The same workload always gives the same one.
    """
    name = int.from_bytes(blake2b(workload.title.encode(), digest_size=8).digest())
    rng = np.random.default_rng(name)
    max_power = float(rng.choice([watts for watts in POWERS if watts != workload.max_power]))
    slower = rng.uniform(-FASTER, FASTER)
    tilt, power_tilt = rng.uniform(-TILT, TILT), rng.uniform(-POWER_TILT, POWER_TILT)

    def moved(run: Run, batch_size: int) -> Run:
        octaves = np.log2(batch_size / workload.default_batch_size)
        time = run.epoch_time * 2 ** (slower + tilt * octaves)
        watts = (
            run.epoch_energy / run.epoch_time * max_power / workload.max_power * 2 ** (power_tilt * octaves)
        )
        return Run(float(time), float(time * watts), run.curve)

    runs = {size: tuple(moved(run, size) for run in runs) for size, runs in workload.runs.items()}
    return replace(workload, gpu=f"another GPU than {workload.gpu}".strip(), max_power=max_power, runs=runs)


def precedent_of(scenario: Scenario, seed: int, told: Story) -> Precedent:
    """Return the job of a seed that was played in a kernel, as one that another begins with."""
    sizes = scenario.before.batch_sizes
    job = job_of(scenario, Policy.FRUGAL, seed)
    rows = told.trainings[["size", "said", "time", "energy", "converged"]].tolist()
    numbered = zip(count(1), rows, strict=False)
    return Precedent(job, newest([_trial(job.job_id, number, sizes, row) for number, row in numbered]))


def precedent_in_memory(decider: InMemory) -> Precedent:
    """Return a job that core has decided for, as one that another begins with."""
    return Precedent(decider.pipeline.job, newest(decider.pipeline.trials))


def newest(trials: Sequence[Trial]) -> Sequence[Trial]:
    """Return the newest results, as many as a service takes, ascending by trial number."""
    return sorted(trials, key=lambda trial: trial.trial_number)[-MOST_TRIALS:]


def _trial(job_id: str, number: int, sizes: Sequence[int], row: tuple[int, int, float, float, int]) -> Trial:
    size, said, time, energy, converged = row
    return Trial(
        job_id=job_id,
        batch_size=sizes[size],
        trial_number=number,
        start_timestamp=NOW,
        type=TrialType.MAB,
        status=TrialStatus.SUCCEEDED,
        time=time,
        energy=energy,
        converged=converged == 1,
        epochs=said,
    )
