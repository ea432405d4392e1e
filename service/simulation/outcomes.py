"""What a simulation shows: regret, cost, energy and time of each contender, and against each other."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from service.simulation.contenders import Contender
from service.simulation.estimates import Estimate, Numbers, mean, ratio
from service.simulation.playing import Piece, Played, joined
from service.simulation.scenarios import Scenario

YARDSTICK = Contender.ZEUS
"""Whose regret that of the others is held against."""


class Against(Struct, frozen=True):
    """What was spent, by what another contender has spent on the same trainings; None where it never ends."""

    cost: Estimate | None
    energy: Estimate | None
    time: Estimate | None


class Result(Struct, frozen=True, kw_only=True):
    """What a contender made of a workload.

    ``regret`` is what was spent beyond the best batch size, in trainings at that; ``regrets`` its mean up to
    each recurrence. ``cost``, ``energy`` (joules) and ``time`` (seconds) are of a recurrence. ``chosen`` is
    the share of each batch size in the last trainings. ``by_zeus`` is the ratio of regrets, ``better`` the
    share of seeds on which the regret is lower than that of Zeus, ``worst`` the highest ratio of a seed.
    ``stuck`` seeds ended without a batch size and count in nothing else.
    """

    policy: Contender
    regret: Estimate | None
    regrets: list[float]
    cost: Estimate | None
    energy: Estimate | None
    time: Estimate | None
    chosen: dict[int, float]
    against: dict[Contender, Against]
    by_zeus: Estimate | None
    better: float | None
    worst: float | None
    stuck: int


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a workload; ``then_best`` is its best batch size after a drift, None without one."""

    workload: str
    default_batch_size: int
    best_batch_size: int
    then_best: int | None
    recurrences: int
    seeds: int
    policies: list[Result]


class Total(Struct, frozen=True, kw_only=True):
    """A contender over all workloads, each measured by its best batch size.

    ``regret`` is the sum of a seed's, ``by_zeus`` its ratio to that of Zeus and ``worst`` the highest of a
    seed; ``wins`` counts workloads on which the mean regret is lower than that of Zeus.
    """

    policy: Contender
    workloads: int
    regret: Estimate | None
    by_zeus: Estimate | None
    worst: float | None
    wins: int | None
    against: dict[Contender, Against]
    stuck: int


Measures = Mapping[Contender, Played]


def gathered(cut: Sequence[Piece], told: Sequence[Played]) -> list[tuple[Scenario, Measures]]:
    """Put together what the pieces of a simulation came to, scenario by scenario."""
    found: dict[int, tuple[Scenario, dict[Contender, Played]]] = {}
    pairs = zip(cut, told, strict=True)
    for (key, contender), parts in groupby(pairs, lambda pair: (id(pair[0].scenario), pair[0].contender)):
        pieces, played = zip(*parts, strict=True)
        scenario = pieces[0].scenario
        found.setdefault(key, (scenario, {}))[1][contender] = joined(played)
    return list(found.values())


def outcome(scenario: Scenario, measures: Measures) -> Outcome:
    """Return what became of a workload."""
    eta, workload = scenario.terms.eta_knob, scenario.before
    best, then = (each.best_batch_size(eta) for each in (workload, scenario.after))
    return Outcome(
        workload=scenario.title,
        default_batch_size=workload.default_batch_size,
        best_batch_size=best,
        then_best=then if scenario.change < scenario.recurrences else None,
        recurrences=scenario.recurrences,
        seeds=len(next(iter(measures.values())).is_stuck),
        policies=[_result(scenario, contender, measures) for contender in measures],
    )


def _result(scenario: Scenario, contender: Contender, measures: Measures) -> Result:
    own = measures[contender]
    ended = own.ended
    chosen = sorted(zip(own.chosen.tolist(), scenario.before.batch_sizes, strict=True), reverse=True)
    pair = _paired(own, measures.get(YARDSTICK))
    cost, energy, time = (mean(column) for column in own.spent[ended].T / scenario.recurrences)
    return Result(
        policy=contender,
        regret=mean(own.regret()[ended]),
        regrets=own.regrets.mean.tolist() if ended.any() else [],
        cost=cost,
        energy=energy,
        time=time,
        chosen={size: times / int(own.chosen.sum()) for times, size in chosen if times},
        against={other: _against([own], [measures[other]]) for other in measures if other is not contender},
        by_zeus=ratio(*pair) if pair else None,
        better=float((pair[0] < pair[1]).mean()) if pair else None,
        worst=_worst(*pair) if pair else None,
        stuck=int((~ended).sum()),
    )


def totals(all_measures: Sequence[Measures]) -> list[Total]:
    """Return what became of all workloads together, which have the same contenders and seeds."""
    return [_total(contender, all_measures) for contender in all_measures[0]]


def _total(contender: Contender, all_measures: Sequence[Measures]) -> Total:
    own = [measures[contender] for measures in all_measures]
    zeus = [measures[YARDSTICK] for measures in all_measures if YARDSTICK in measures]
    ended = _all_ended(own)
    pair = None
    if zeus:
        both = _all_ended([*own, *zeus])
        pair = (_summed_regret(own)[both], _summed_regret(zeus)[both])
    return Total(
        policy=contender,
        workloads=len(own),
        regret=mean(_summed_regret(own)[ended]),
        by_zeus=ratio(*pair) if pair else None,
        worst=_worst(*pair) if pair else None,
        wins=sum(_wins(a, b) for a, b in zip(own, zeus, strict=True)) if zeus else None,
        against={
            other: _against(own, [measures[other] for measures in all_measures])
            for other in all_measures[0]
            if other is not contender
        },
        stuck=int((~ended).sum()),
    )


def _all_ended(each: Iterable[Played]) -> NDArray[np.bool_]:
    return np.asarray(np.logical_and.reduce([one.ended for one in each]))


def _summed_regret(each: Sequence[Played]) -> Numbers:
    return np.asarray(sum(one.regret() for one in each))


def _wins(own: Played, other: Played) -> bool:
    both = own.ended & other.ended
    return bool(both.any() and own.regret()[both].mean() < other.regret()[both].mean())


def _paired(own: Played, other: Played | None) -> tuple[Numbers, Numbers] | None:
    """Return the regrets of the seeds on which both came to an end, None where there are none."""
    if other is None:
        return None
    both = own.ended & other.ended
    return (own.regret()[both], other.regret()[both]) if both.any() else None


def _worst(own: Numbers, other: Numbers) -> float | None:
    positive = other > 0
    return float((own[positive] / other[positive]).max()) if positive.any() else None


def _against(own: Sequence[Played], others: Sequence[Played]) -> Against:
    both = _all_ended([*own, *others])

    def summed(each: Sequence[Played]) -> Numbers:
        return np.asarray(sum(one.relative for one in each))[both].T

    return Against(*(ratio(*pair) for pair in zip(summed(own), summed(others), strict=True)))
