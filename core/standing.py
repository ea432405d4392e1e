"""How far the pruning stage of a job is: its round, and the batch sizes that may still come through it.

It goes the way of ``core.pruning.walk``, past what has not been tried, as if all of that converged.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from core.cost import cost_of
from core.failures import is_set_aside
from core.records import Job, Trial, TrialStatus


class Standing(Struct, frozen=True):
    """A round, from 1 (0 where a job has none), and the batch sizes that are left in it, ascending."""

    round: int
    left: tuple[int, ...]


def standing(job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> Standing:
    """Return where the walk through a job's batch sizes stands; nothing is left at a dead end.

    Args:
        job: What is walked through.
        batch_sizes: Those of the job.
        explorations: As ``core.pruning.walk`` takes them.
    """
    survivors, default = sorted(batch_sizes), job.default_batch_size
    for index in range(job.num_pruning_rounds):
        costs: dict[int, float] = {}
        untried: list[int] = []
        start = survivors.index(default)
        for direction in (survivors[start::-1], survivors[start + 1 :]):
            for size in direction:
                is_aside = is_set_aside(job, size)
                trial = next(iter(explorations.get(size, ())[index:]), None)
                if trial is None and is_aside:
                    break
                if trial is None or trial.status is TrialStatus.DISPATCHED:
                    untried += [] if is_aside else [size]
                elif not trial.converged or trial.time is None or trial.energy is None:
                    break
                elif not is_aside:
                    costs[size] = cost_of(job, trial.time, trial.energy)
        if untried or not costs:
            return Standing(index + 1, tuple(sorted([*costs, *untried])))
        survivors, default = sorted(costs), min(costs, key=costs.__getitem__)
    return Standing(job.num_pruning_rounds, tuple(survivors))
