"""The lowest cost of a job: that of the cheapest trial that converged."""

from msgspec.structs import replace

from core.cost import LARGEST_QUANTITY, cost_of
from core.errors import CostOutOfRange
from core.needs import Costs
from core.records import Job, Trial


def with_cost(job: Job, ended: Trial) -> Job:
    """Let a converged trial lower the job's lowest cost; one that did not converge never does."""
    if not ended.converged or ended.time is None or ended.energy is None:
        return job
    cost = cost_of(job, ended.time, ended.energy)
    if job.min_cost is not None and job.min_cost <= cost:
        return job
    return replace(job, min_cost=cost, min_cost_batch_size=ended.batch_size)


def with_lowest_cost(job: Job, costs: Costs) -> Job:
    """Return a job that knows its lowest cost.

    Raises:
        CostOutOfRange: A result has no cost in range.
    """
    if costs.lowest is not None and costs.lowest <= 0:
        raise CostOutOfRange(
            f"with eta_knob {job.eta_knob} a trial without measured energy would cost nothing; "
            "leave it below 1 so that time counts"
        )
    if costs.highest is not None and costs.highest > LARGEST_QUANTITY:
        raise CostOutOfRange(
            f"with eta_knob {job.eta_knob} a trial would cost more than {LARGEST_QUANTITY:g} J"
        )
    if costs.cheapest is None:
        return replace(job, min_cost=None, min_cost_batch_size=job.default_batch_size)
    cost, _, batch_size = costs.cheapest
    return replace(job, min_cost=cost, min_cost_batch_size=batch_size)
