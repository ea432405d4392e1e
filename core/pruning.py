"""The pruning walk: from the explorations so far to what comes next.

Source: You et al., "Zeus", NSDI '23, section 4.4.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from core.cost import cost_of
from core.errors import NoBatchSizeLeft
from core.failures import all_aside, described, is_set_aside, reset_call, usable
from core.rationale import Rule
from core.records import Job, Policy, Specification, Trial, TrialStatus


class Explore(Struct, frozen=True):
    """The walk goes on with this batch size, in this round (from 1), by this rule."""

    batch_size: int
    round: int
    rule: Rule


class Await(Struct, frozen=True):
    """The walk waits for an exploration that is still Dispatched, of this round (from 1)."""

    round: int


class Survivors(Struct, frozen=True):
    """The walk is over; these batch sizes converged in every round, ascending."""

    batch_sizes: tuple[int, ...]


def prunes(job: Job | Specification) -> bool:
    """Tell whether a job begins with the walk: a batch size without an arm is then none of the bandit's."""
    return job.policy is Policy.ZEUS


def walk(
    job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]
) -> Explore | Await | Survivors:
    """Return the next step of the pruning stage.

    A round starts at its default, goes down through the smaller batch sizes until one fails to converge, then
    up through the larger ones until one fails. Those that converged go to the next round, whose default is
    the cheapest of this one (ties: the first in the walk). A batch size that is set aside counts as one that
    failed to converge, save that what was explored beyond it stays so. The walk waits while an exploration is
    Dispatched.

    Args:
        job: What is walked through.
        batch_sizes: Those of the job.
        explorations: A batch size's explorations that have not failed, by trial number; its i-th is that of
            round i.

    Raises:
        NoBatchSizeLeft: A round ended without a survivor.
    """
    running = [
        len(seen)
        for seen in explorations.values()
        if any(trial.status is TrialStatus.DISPATCHED for trial in seen)
    ]
    if running:  # also where the walk has turned away from it, since a batch size was set aside
        return Await(max(running))
    survivors = sorted(batch_sizes)
    default = job.default_batch_size
    for round_index in range(job.num_pruning_rounds):
        converged: dict[int, float] = {}
        start = survivors.index(default)
        for rule, direction in (
            (Rule.SMALLER, survivors[start::-1]),
            (Rule.LARGER, survivors[start + 1 :]),
        ):
            for batch_size in direction:
                is_aside = is_set_aside(job, batch_size)
                trial = next(iter(explorations.get(batch_size, ())[round_index:]), None)
                if trial is None and not is_aside:
                    return Explore(
                        batch_size, round_index + 1, Rule.DEFAULT if batch_size == default else rule
                    )
                if trial is None or not trial.converged or trial.time is None or trial.energy is None:
                    break
                if not is_aside:  # else the walk went past it before it was set aside
                    converged[batch_size] = cost_of(job, trial.time, trial.energy)
        if not converged:
            raise NoBatchSizeLeft(
                f"No batch size of job({job.job_id}) reached its target metric {job.target_metric} in "
                f"pruning round {round_index + 1}.{described(job)} Register a job with a new job_id and "
                "other batch_sizes, a target_metric that can be reached, more max_epochs or a larger "
                f"beta_knob; or mend what made trainings fail and start over: {reset_call(job)}."
            )
        default = min(converged, key=converged.__getitem__)
        survivors = sorted(converged)
    return Survivors(tuple(survivors))


def stand_in(job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> int:
    """Return the batch size of a training that cannot wait for the walk.

    It is that of the lowest cost so far; where that is set aside, of the cheapest exploration that converged;
    where there is none, the smallest, which needs the least memory.

    Raises:
        NoBatchSizeLeft: All are set aside.
    """
    if not is_set_aside(job, job.min_cost_batch_size):
        return job.min_cost_batch_size
    left = usable(job, batch_sizes)
    if not left:
        raise NoBatchSizeLeft(all_aside(job))
    costs = [
        (cost_of(job, trial.time, trial.energy), size)
        for size in left
        for trial in explorations.get(size, ())
        if trial.converged and trial.time is not None and trial.energy is not None
    ]
    return min(costs)[1] if costs else min(left)
