"""Figures and reasons in words."""

import math
from collections.abc import Sequence

from core.rationale import Rationale, Rule
from core.records import Job, Stage
from core.savings import Savings
from service.views.shapes import WeighedView

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
DIGITS = 3
MOST_DIGITS = 7
"""So many tell two figures apart that are close to each other."""

NO_REASON = "The release that dispatched this trial kept no reasons."


def joules(value: float, digits: int = DIGITS) -> str:
    """Return an energy or a cost to so many digits, as ``1.21 MJ``."""
    if not 1 <= abs(value) < 10 ** (3 * len(PREFIXES)):
        return f"{value:.{digits}g} J"
    power = min(int(math.log10(abs(float(f"{value:.{digits - 1}e}")))) // 3, len(PREFIXES) - 1)
    return f"{_plain(value / 1000**power, digits)} {PREFIXES[power]}J"


def seconds(value: float, digits: int = DIGITS) -> str:
    """Return a time to so many digits: seconds up to two minutes, minutes up to two hours, else hours."""
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60)):
        if abs(value) < limit:
            return f"{_plain(value / length, digits)} {unit}"
    return f"{_plain(value / 3600, digits)} h"


def _plain(value: float, digits: int) -> str:
    """Return a number to so many digits, those before the point all, with commas and without an exponent."""
    if abs(value) >= 10**15:
        return f"{value:.{digits}g}"
    before = len(str(int(abs(value))))
    return f"{value:,.{max(digits - before, 0)}f}" if abs(value) >= 1 else f"{value:.{digits}g}"


def number_of(count: int, thing: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def apart(first: float, second: float) -> tuple[str, str]:
    """Return two costs to as many digits as tell them apart."""
    for digits in range(DIGITS, MOST_DIGITS):
        if joules(first, digits) != joules(second, digits):
            return joules(first, digits), joules(second, digits)
    return joules(first, MOST_DIGITS), joules(second, MOST_DIGITS)


def deviation(arm: WeighedView) -> str:
    """Return how sure the posterior mean of an arm is."""
    if arm.deviation is None:
        return "of which nothing was known"
    return f"posterior mean {joules(arm.mean_cost)} ± {joules(arm.deviation)}"


def decision(job: Job, size: int, why: Rationale | None, arms: Sequence[WeighedView]) -> str:
    """Return why a trial of a job has its batch size; ``arms`` are those that the decision saw."""
    if why is None:
        return NO_REASON
    weighed = {arm.batch_size: arm for arm in arms}
    match why.rule:
        case Rule.DEFAULT:
            return _default(size, why)
        case Rule.SMALLER:
            return (
                f"{_round(why)} goes down from its default while batch sizes converge: {size} is the next "
                "smaller one that is left."
            )
        case Rule.LARGER:
            return (
                f"{_round(why)} has gone down from its default as far as it can, and now goes up while batch "
                f"sizes converge: {size} is the next larger one that is left."
            )
        case Rule.STAND_IN:
            return (
                f"An exploration of round {why.round} of the pruning stage was still running, and the next one "
                f"waits for its result. Meanwhile this training got {size}, the best batch size so far: "
                "the cheapest that is not set aside; before any has converged, the default or, where that is "
                "set aside, the smallest."
            )
        case Rule.UNEXPLORED:
            return _unexplored(job, weighed.get(size), size)
        case Rule.SAMPLED:
            return _sampled(weighed, size)
        case Rule.PAUSED:
            return _paused(why, weighed.get(size), size)
        case Rule.CHOSEN:
            return f"The training had chosen batch size {size} by itself when it began this trial."


def _round(why: Rationale) -> str:
    return f"Round {why.round} of the pruning stage"


def _default(size: int, why: Rationale) -> str:
    which = "the default of the job" if why.round == 1 else "the cheapest of the round before"
    return f"{_round(why)} began: it first tries its default, batch size {size}, {which}."


def _unexplored(job: Job, arm: WeighedView | None, size: int) -> str:
    wanted = max(job.mab_num_explorations, 1)
    known = number_of(0 if arm is None else arm.num_observations, "result")
    return (
        f"Batch size {size} had {known}, and is explored until it has {wanted}: it was the first with too few "
        "in a random order, and nothing is sampled while there is one."
    )


def _sampled(weighed: dict[int, WeighedView], size: int) -> str:
    """Return what was drawn: the lowest cost, and the one that came next."""
    drawn = sorted(
        (arm.sampled_cost, arm.batch_size) for arm in weighed.values() if arm.sampled_cost is not None
    )
    cost = weighed[size].sampled_cost if size in weighed else None
    others = [(other, name) for other, name in drawn if name != size]
    if cost is None:
        return f"Batch size {size} was sampled."
    if not others:
        return f"Batch size {size} was the only one left ({deviation(weighed[size])})."
    mine, next_one = apart(cost, others[0][0])
    return (
        f"Batch size {size} had the lowest sampled cost, {mine} ({deviation(weighed[size])}); next came "
        f"{others[0][1]} with {next_one}."
    )


def _paused(why: Rationale, arm: WeighedView | None, size: int) -> str:
    begin = f"The job was paused, so that nothing was explored: batch size {size}"
    if why.stage is Stage.PRUNING:
        return f"{begin} was the best so far, or the default while there was none."
    if arm is None or not arm.num_observations:
        return f"{begin} was taken while no batch size had a result."
    return f"{begin} was the one of the lowest posterior mean cost, {joules(arm.mean_cost)}."


def savings(job: Job, saved: Savings) -> str:
    """Return how savings are computed, with the figures."""
    size, converged = job.default_batch_size, number_of(job.num_converged, "training")
    usual_time, usual_energy = (job.num_converged * one for one in (saved.default_time, saved.default_energy))
    ended = number_of(job.num_converged + job.num_unconverged, "training")
    return (
        f"{converged} converged. At the default batch size {size} each would have taken "
        f"{seconds(saved.default_time)} and {joules(saved.default_energy)}, the mean of the "
        f"{saved.num_default:,} that converged there: {seconds(usual_time)} and {joules(usual_energy)} in all. "
        f"The {ended} that have a result, those that did not converge among them, took "
        f"{seconds(job.spent_time)} and {joules(job.spent_energy)}. The difference is {seconds(saved.time)} "
        f"and {joules(saved.energy)}; its cost, at eta_knob {job.eta_knob:g} and max_power "
        f"{job.max_power:g} W, is {joules(saved.cost)}, {saved.share:.1%} of what it would have been."
    )
