"""Changing a job that runs: other terms, under which what was measured is costed anew, or a new start."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from core import needs, policies
from core.lowest import with_lowest_cost
from core.policies.protocol import Learning
from core.records import Job

CHANGEABLE = ("eta_knob", "beta_knob", "window_size", "max_epochs")
"""The terms that may change."""

Value = int | float | None


def change(job: Job, terms: Mapping[str, Value]) -> Learning:
    """Decide what new terms make of a job; the values under which it was registered stay known.

    With another ``eta_knob`` the lowest cost is found again among the trials that converged; the rest is the
    policy's. Nothing is measured again.

    Raises:
        CostOutOfRange: Under the new ``eta_knob`` a result would cost nothing, or too much.
    """
    changed = replace(job, **terms, registered=_registered(job, terms))
    if changed.eta_knob != job.eta_knob:
        changed = with_lowest_cost(changed, (yield from needs.costs(changed)))
    return (yield from policies.of(job).retune(job, changed))


def _registered(job: Job, terms: Mapping[str, Value]) -> dict[str, Value]:
    """Return the registered values of the terms that are others now."""
    registered = {**{name: getattr(job, name) for name in terms}, **job.registered}
    return {name: value for name, value in registered.items() if terms.get(name, getattr(job, name)) != value}


def started_over(job: Job, batch_sizes: Sequence[int]) -> Job:
    """Return a job as it was registered: no trial before counts any more."""
    fresh = replace(
        job,
        min_cost=None,
        min_cost_batch_size=job.default_batch_size,
        failures={},
        reset_number=job.last_trial_number,
    )
    return policies.of(job).started_over(fresh, batch_sizes)
