"""Changing the terms of a job that runs: what has been measured is costed anew, nothing is measured again."""

from collections.abc import Generator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from core import needs
from core.cost import LARGEST_QUANTITY
from core.errors import CostOutOfRange
from core.history import rewards_of
from core.needs import Costs, Need
from core.records import Arm, Job, Stage
from core.sums import MOST_REFITTED, Sums, posterior_of
from core.zeus import arm_of

CHANGEABLE = ("eta_knob", "beta_knob", "window_size", "max_epochs")
"""The terms that may change."""

Value = int | float | None


class Changed(Struct, frozen=True):
    """A job under its new terms, and its arms as they are fitted under them, each with its sums, if any."""

    job: Job
    arms: tuple[tuple[Arm, Sums | None], ...] = ()


def change(job: Job, terms: Mapping[str, Value]) -> Generator[Need, Any, Changed]:
    """Decide what new terms make of a job; the values under which it was registered stay known.

    With another ``eta_knob`` the lowest cost is found again among the trials that converged; with another one
    or another ``window_size`` every arm is fitted again, on its results ascending by trial number.

    Raises:
        CostOutOfRange: Under the new ``eta_knob`` a result would cost nothing, or too much.
    """
    changed = replace(job, **terms, registered=_registered(job, terms))
    has_new_window = max(changed.window_size, 0) != max(job.window_size, 0)
    if changed.eta_knob != job.eta_knob:
        changed = with_lowest_cost(changed, (yield from needs.costs(changed)))
    elif not has_new_window:
        return Changed(changed)
    if changed.stage is not Stage.MAB:
        return Changed(changed)
    arms = yield from needs.arms(job)
    fitted = []
    for arm in arms.values():
        refitted = yield from _fitted(changed, arm, has_new_window=has_new_window)
        fitted.append(refitted)
    return Changed(changed, tuple(fitted))


def _registered(job: Job, terms: Mapping[str, Value]) -> dict[str, Value]:
    """Return the registered values of the terms that are others now."""
    registered = {**{name: getattr(job, name) for name in terms}, **job.registered}
    return {name: value for name, value in registered.items() if terms.get(name, getattr(job, name)) != value}


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


def _fitted(job: Job, arm: Arm, *, has_new_window: bool) -> Generator[Need, Any, tuple[Arm, Sums | None]]:
    """Fit an arm again, on its sums where it lives on them."""
    sums = None
    if job.window_size <= 0 and arm.num_observations > MOST_REFITTED and not has_new_window:
        sums = yield from needs.sums(job, arm.batch_size)
    if sums is None:
        results = yield from needs.results(job, arm.batch_size)
        if job.window_size > 0 or len(results) <= MOST_REFITTED:
            posteriors = yield from needs.posteriors(job, [rewards_of(job, results)])
            return arm_of(job, arm.batch_size, posteriors[0], len(results)), None
        sums = Sums(job.job_id, arm.batch_size).plus(results)
    return arm_of(job, arm.batch_size, posterior_of(job, sums), sums.num_results), sums
