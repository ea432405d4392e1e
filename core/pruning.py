"""The pruning walk: from the explorations so far to what comes next.

Source: You et al., "Zeus", NSDI '23, section 4.4.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from core.cost import cost_of
from core.errors import NoBatchSizeLeft
from core.records import Terms, Trial, TrialStatus


class Explore(Struct, frozen=True):
    """The walk goes on with this batch size."""

    batch_size: int


class Await(Struct, frozen=True):
    """The walk waits for an exploration that is still Dispatched."""


class Survivors(Struct, frozen=True):
    """The walk is over; these batch sizes converged in every round, ascending."""

    batch_sizes: tuple[int, ...]


def walk(
    terms: Terms, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]
) -> Explore | Await | Survivors:
    """Return the next step of the pruning stage.

    A round starts at its default, goes down through the smaller batch sizes until one fails to converge, then
    up through the larger ones until one fails. Those that converged go to the next round, whose default is
    the cheapest of this one (ties: the first in the walk).

    Args:
        terms: Default batch size, number of rounds and cost of the job.
        batch_sizes: Those of the job.
        explorations: A batch size's explorations that have not failed, by trial number; its i-th is that of
            round i.

    Raises:
        NoBatchSizeLeft: A round ended without a survivor.
    """
    survivors = sorted(batch_sizes)
    default = terms.default_batch_size
    for round_index in range(terms.num_pruning_rounds):
        converged: dict[int, float] = {}
        start = survivors.index(default)
        for direction in (survivors[start::-1], survivors[start + 1 :]):
            for batch_size in direction:
                seen = explorations.get(batch_size, ())
                if len(seen) <= round_index:
                    return Explore(batch_size)
                trial = seen[round_index]
                if trial.status is TrialStatus.DISPATCHED:
                    return Await()
                if not trial.converged or trial.time is None or trial.energy is None:
                    break
                converged[batch_size] = cost_of(terms, trial.time, trial.energy)
        if not converged:
            raise NoBatchSizeLeft(
                f"No batch size of job({terms.job_id}) reached its target metric {terms.target_metric} in "
                f"pruning round {round_index + 1}. Register a job with a new job_id and other batch_sizes, "
                "a target_metric that can be reached, more max_epochs or a larger beta_knob."
            )
        default = min(converged, key=converged.__getitem__)
        survivors = sorted(converged)
    return Survivors(tuple(survivors))
