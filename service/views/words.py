"""Reasons and savings in words."""

import math
from collections.abc import Mapping, Sequence

from core.pruning import prunes
from core.rationale import Rationale, Rule
from core.records import Job, Stage
from core.savings import Savings
from service.views.figures import apart, count, joules, number_of, percent, seconds
from service.views.shapes import WeighedView

STAND_IN = (
    "the best so far: the cheapest that is not set aside or, before any has converged, the default or else "
    "the smallest."
)
"""What ``core.pruning.stand_in`` gives."""
MOST = 1e6
"""Trainings after which nobody waits for a saving."""
NO_REASON = "The release that dispatched this trial kept no reasons."


def decision(job: Job, size: int, why: Rationale | None, arms: Sequence[WeighedView]) -> str:
    """Return why a trial of a job has its batch size; ``arms`` are those that the decision saw."""
    if why is None:
        return NO_REASON
    weighed = {arm.batch_size: arm for arm in arms}
    match why.rule:
        case Rule.UNEXPLORED:
            return _unexplored(job, weighed.get(size), size)
        case Rule.SAMPLED:
            return _sampled(job, weighed, size)
        case Rule.PAUSED | Rule.CHOSEN:
            return _unasked(job, why, weighed.get(size), size)
    if why.round is None or why.rule in {Rule.SOUGHT, Rule.PROBED}:
        return _tried_out(why, weighed, size)
    return _of_the_walk(why, size)


def _of_the_walk(why: Rationale, size: int) -> str:
    """Return why the pruning stage took a batch size."""
    stage = f"Round {why.round} of the pruning stage"
    match why.rule:
        case Rule.DEFAULT:
            which = "the default of the job" if why.round == 1 else "the cheapest of the round before"
            return f"{stage} began with its default, batch size {size}, {which}."
        case Rule.SMALLER:
            return (
                f"{stage} was going down from its default while batch sizes converged: {size} was the next "
                "smaller one that was left."
            )
        case Rule.LARGER:
            return (
                f"{stage} had gone down from its default as far as it could and was going up while batch "
                f"sizes converged: {size} was the next larger one that was left."
            )
    return (
        f"{stage} waited for the result of an exploration that still ran. Meanwhile this training got batch "
        f"size {size}, {STAND_IN}"
    )


def _unexplored(job: Job, arm: WeighedView | None, size: int) -> str:
    wanted = max(job.mab_num_explorations, 1)
    known = number_of(0 if arm is None else arm.num_observations, "result")
    return (
        f"Batch size {size} had {known}, and is explored until it has {wanted}: it was the first with too "
        "few in a random order, and nothing is sampled while there is one."
    )


def _results(weighed: Mapping[int, WeighedView]) -> str:
    """Return how much was known."""
    tried = {size: arm.num_observations for size, arm in weighed.items() if arm.num_observations}
    if not tried:
        return "no training had a result yet"
    results = sum(tried.values())
    was = "was" if results == 1 else "were"
    return f"there {was} {number_of(results, 'result')} at {number_of(len(tried), 'batch size')}"


def _tried_out(why: Rationale, weighed: Mapping[int, WeighedView], size: int) -> str:
    """Return why a batch size was taken without a round of the pruning stage."""
    if why.rule is Rule.DEFAULT:
        return f"The job begins with its default, batch size {size}: {_results(weighed)}."
    if why.rule is Rule.PROBED:
        return _probed(why, weighed, size)
    arm = weighed.get(size)
    known = "" if arm is None else f" ({_certainty(arm)}, {number_of(arm.num_observations, 'result')})"
    return (
        f"No training had reached its target yet; {_results(weighed)}. Of the batch sizes that were left "
        f"{size} was expected to reach it at the lowest cost{known}."
    )


def _probed(why: Rationale, weighed: Mapping[int, WeighedView], size: int) -> str:
    """Return what trying a batch size may save, what it costs, and what it was held against."""
    arm = weighed.get(size)
    seen = number_of(arm.num_observations, "result") if arm and arm.num_observations else "no result"
    begin = f"Batch size {size}, of which {seen} counted so far, "
    if why.saving is None or why.price is None:
        return f"{begin}may save more than it costs to find out."
    worth = f"may save {joules(why.saving)} a training{_price(why.saving, why.price)}"
    known = [one for one in weighed.values() if one.num_observations and one.batch_size != size]
    if not known:
        return f"{begin}{worth}."
    best = min(known, key=lambda one: one.mean_cost)
    return f"{begin}{worth}. Of the others {best.batch_size} was the cheapest so far: {_certainty(best)}."


def _price(saving: float, price: float) -> str:
    """Return what it costs to find out, and after how many trainings that is saved."""
    if price <= 0:
        return f", and finding out costs nothing: it is expected to save {joules(-price)} at once"
    trainings = price / saving if saving > 0 else math.inf
    after = f", as much as {number_of(math.ceil(trainings), 'training')} may save" if trainings < MOST else ""
    return f"; finding out costs about {joules(price)}{after}"


def _sampled(job: Job, weighed: Mapping[int, WeighedView], size: int) -> str:
    """Return what was drawn: the lowest cost, and the one that came next."""
    drawn = {arm.batch_size: arm.sampled_cost for arm in weighed.values() if arm.sampled_cost is not None}
    if size not in drawn:
        return f"Batch size {size} had the lowest sampled cost."
    certainty = _certainty(weighed[size])
    others = [other for other in drawn if other != size]
    if not others:
        alone = "that was left" if prunes(job) else "at which trainings had reached their target"
        return f"Batch size {size} was the only one {alone} ({certainty})."
    second = min(others, key=drawn.__getitem__)
    mine, its = apart(drawn[size], drawn[second])
    return (
        f"Batch size {size} had the lowest sampled cost, {mine} ({certainty}); next came {second} with {its}."
    )


def _certainty(arm: WeighedView) -> str:
    """Return what was known of an arm, and how surely."""
    if arm.deviation is None:
        return "nothing was known of it"
    return f"posterior mean {joules(arm.mean_cost)} ± {joules(arm.deviation)}"


def _unasked(job: Job, why: Rationale, arm: WeighedView | None, size: int) -> str:
    """Return why a batch size was taken that nothing had explored or drawn."""
    if why.rule is Rule.CHOSEN:
        return f"The training had chosen batch size {size} by itself when it began this trial."
    begin = f"The job was paused, so that nothing was explored: batch size {size}"
    if why.stage is Stage.PRUNING:
        return f"{begin} was {STAND_IN}"
    if arm is None or not arm.num_observations:
        what = "had a result" if prunes(job) else "had reached the target"
        return f"{begin} was taken since none {what}."
    return f"{begin} was the one of the lowest posterior mean cost, {joules(arm.mean_cost)}."


def savings(job: Job, saved: Savings) -> str:
    """Return how savings are computed, with the figures."""
    usual_time, usual_energy = (job.num_converged * one for one in (saved.default_time, saved.default_energy))
    ended = number_of(job.num_converged + job.num_unconverged, "training")
    return (
        f"{number_of(job.num_converged, 'training')} converged. At the default batch size "
        f"{job.default_batch_size} each would have taken {seconds(saved.default_time)} and "
        f"{joules(saved.default_energy)}, the mean of the {count(saved.num_default)} that converged there: "
        f"{seconds(usual_time)} and {joules(usual_energy)} in all. The {ended} with a result, those that did "
        f"not converge among them, took {seconds(job.spent_time)} and {joules(job.spent_energy)}. The "
        f"difference is {seconds(saved.time)} and {joules(saved.energy)}; its cost, at eta_knob "
        f"{job.eta_knob:g} and max_power {job.max_power:g} W, is {joules(saved.cost)}, "
        f"{percent(saved.share)} of what it would have been."
    )
