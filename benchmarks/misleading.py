"""What a job loses that begins with what a misleading one has shown, against one that begins with nothing.

``python -m benchmarks.misleading --traces FOLDER`` lets jobs on every recorded workload and GPU begin with
one that has recurred where costs lie otherwise, family by family; ``good`` is the same workload elsewhere.
Without a folder the workloads are made up.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import click
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.markdown import Table
from service.commands.comparing import estimated
from service.errors import OpeningError
from service.simulation import engines
from service.simulation.beginnings import source_of
from service.simulation.contenders import Contender
from service.simulation.estimates import Estimate, Numbers, ratio
from service.simulation.families import Family
from service.simulation.playing import joined, pieces, play
from service.simulation.scenarios import Scenario
from service.simulation.sources import Conditions, Source, scenarios_of
from service.simulation.workloads import Curve, Run, Workload

JUDGED = 1.05
"""What the upper limit of a ratio may be."""
DRAWS = 8
"""Sources of a kind that are drawn by chance."""
OFF = 0.7
"""Standard deviation of the logarithms of what is wrong with a noisy source."""

Runs = Mapping[int, Sequence[Run]]
Misleading = Callable[[Scenario, int], Workload]
"""What a job trains that another one begins with: the n-th that is drawn."""


class Misled(Struct, frozen=True):
    """What jobs lose that begin with a family of sources, by what they lose that begin with nothing."""

    family: str
    ratio: Estimate | None
    pairs: list[float]
    """The ratio of the means, pair by pair."""


def _source(scenario: Scenario) -> Workload:
    return source_of(scenario).before


def _named(workload: Workload, family: str, runs: Runs) -> Workload:
    """Return a workload with other runs, whose trainings have a chance of their own."""
    return replace(workload, gpu=f"{workload.gpu}, {family}", runs=runs)


def _rng(workload: Workload, number: int) -> np.random.Generator:
    name = int.from_bytes(blake2b(workload.title.encode(), digest_size=8).digest())
    return np.random.default_rng([name, number])


def _moved(family: str, places: Callable[[int, np.random.Generator], Sequence[int]]) -> Misleading:
    """Let batch sizes train as others do: the i-th as that at the i-th place."""

    def misleading(scenario: Scenario, number: int) -> Workload:
        workload = _source(scenario)
        sizes = workload.batch_sizes
        order = places(len(sizes), _rng(workload, number))
        return _named(
            workload,
            f"{family} {number}",
            {size: workload.runs[sizes[place]] for size, place in zip(sizes, order, strict=True)},
        )

    return misleading


def _costing(family: str, cost: Callable[[float, float, float], float]) -> Misleading:
    """Let trainings cost otherwise: by what each costs, the least and the most."""

    def misleading(scenario: Scenario, _: int) -> Workload:
        workload, eta = _source(scenario), scenario.terms.eta_knob
        costs = {size: workload.expected_cost(size, eta) for size in workload.batch_sizes}
        finite = [each for each in costs.values() if math.isfinite(each)]
        factors = {
            size: cost(each, min(finite), max(finite)) / each if math.isfinite(each) else 1.0
            for size, each in costs.items()
        }
        runs = {
            size: [_slower(run, factors[size]) for run in of_size] for size, of_size in workload.runs.items()
        }
        return _named(workload, family, runs)

    return misleading


def _slower(run: Run, factor: float) -> Run:
    return Run(run.epoch_time * factor, run.epoch_energy * factor, run.curve)


def _noisy(scenario: Scenario, number: int) -> Workload:
    """Let an epoch cost something else at each batch size, and let it need other epochs."""
    workload = _source(scenario)
    rng = _rng(workload, number)
    runs = {}
    for size, of_size in workload.runs.items():
        dearer, longer = np.exp(rng.normal(0, OFF, 2)).tolist()
        runs[size] = [_slower(replace(run, curve=_stretched(run.curve, longer)), dearer) for run in of_size]
    return _named(workload, f"noisy {number}", runs)


def _stretched(curve: Curve, longer: float) -> Curve:
    """Return a curve that needs other epochs, over as many of them."""
    return tuple(curve[min(int(epoch / longer), len(curve) - 1)] for epoch in range(len(curve)))


def _shift(by: int) -> Callable[[int, np.random.Generator], Sequence[int]]:
    return lambda n, _: [min(max(place - by, 0), n - 1) for place in range(n)]


FAMILIES: Mapping[str, Misleading] = {
    "good": lambda scenario, _: _source(scenario),
    "reversed": _moved("reversed", lambda n, _: range(n - 1, -1, -1)),
    "inverted": _costing("inverted", lambda cost, least, most: least * most / cost),
    **{f"shifted by {by:+d}": _moved(f"shifted by {by:+d}", _shift(by)) for by in (-3, -1, 1, 3)},
    "shuffled": _moved("shuffled", lambda n, rng: rng.permutation(n).tolist()),
    "flat": _costing("flat", lambda _, least, most: math.sqrt(least * most)),
    "noisy": _noisy,
}
"""How the costs lie of what a job begins with; beside them, ``unrelated`` is another workload."""

BY_CHANCE = {"shuffled", "noisy"}


def misled(scenarios: Sequence[Scenario], seeds: int, workers: int | None) -> list[Misled]:
    """Let jobs begin with each family of sources."""
    cold = _regrets(scenarios, Contender.FRUGAL, seeds, workers)
    sources: dict[str, list[list[Workload]]] = {
        family: [
            [misleading(scenario, number) for scenario in scenarios]
            for number in range(DRAWS if family in BY_CHANCE else 1)
        ]
        for family, misleading in FAMILIES.items()
    }
    sources["unrelated"] = [[scenarios[place - 1].before for place in range(len(scenarios))]]
    found = []
    for family, drawn in sources.items():
        begun = [
            [replace(one, earlier=other) for one, other in zip(scenarios, earlier, strict=True)]
            for earlier in drawn
        ]
        told = [_regrets(each, Contender.FRUGAL_WARM, seeds, workers) for each in begun]
        warm = np.mean(told, axis=0)
        pairs = (warm.mean(axis=1) / cold.mean(axis=1)).tolist()
        found.append(Misled(family, ratio(warm.sum(axis=0), cold.sum(axis=0)), pairs))
    return found


def _regrets(scenarios: Sequence[Scenario], contender: Contender, seeds: int, workers: int | None) -> Numbers:
    """Return the regret of each seed, float64 (scenarios, seeds)."""
    cut = pieces(scenarios, [contender], seeds)
    told = engines.mapped(play, cut, workers, lambda _: None)
    rows = []
    for scenario in scenarios:
        parts = [one for piece, one in zip(cut, told, strict=True) if piece.scenario is scenario]
        rows.append(joined(parts).regret())
    return np.array(rows)


def misled_table(found: Sequence[Misled]) -> Table:
    """Return a row a family: its ratio, its upper limit, and the worst pair."""
    headings = ("begun with", "regret by that of a cold start", "upper 95 % limit", "worst pair", "judged")
    rows = []
    for each in found:
        high = math.nan if each.ratio is None or each.ratio.high is None else each.ratio.high
        held = "holds" if high <= JUDGED else "does not hold"
        rows.append((each.family, estimated(each.ratio), f"{high:.3f}", f"{max(each.pairs):.2f}", held))
    return Table(headings, rows)


@click.command(context_settings={"show_default": True})
@click.option("--traces", type=click.Path(path_type=Path), help="A folder of recorded trainings.")
@click.option("--family-seed", type=click.IntRange(0), default=0, help="Which workloads are made up.")
@click.option("--seeds", type=click.IntRange(2), default=100, help="Jobs of each workload.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; as many as there are cores, if not named."
)
def main(*, traces: Path | None, family_seed: int, seeds: int, workers: int | None) -> None:
    """Print what misleading sources cost."""
    families = () if traces is not None else tuple(Family)
    try:
        scenarios, _ = scenarios_of(
            Source(file=traces, families=families, family_seed=family_seed), Conditions()
        )
    except OpeningError as error:
        raise click.ClickException(str(error)) from None
    print(misled_table(misled(scenarios, seeds, workers)).markdown())


if __name__ == "__main__":
    main()
