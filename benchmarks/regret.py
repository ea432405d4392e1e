"""What each policy loses, on recorded trainings and on made-up ones; and how fast that is found out.

``python -m benchmarks.regret --traces FOLDER`` prints tables: the regret of each policy on each workload,
sums over all workloads by source and condition, and decisions a second. ``--family-seed`` makes others up, so
that one tunes on some and tests on others.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct

from benchmarks.markdown import Table
from service.commands.comparing import estimated
from service.errors import OpeningError
from service.simulation import engines
from service.simulation.contenders import Contender, decider_of
from service.simulation.families import Family
from service.simulation.outcomes import Measures, gathered, outcome, totals
from service.simulation.playing import Piece, pieces, play
from service.simulation.recurrences import story_of
from service.simulation.scenarios import Scenario
from service.simulation.sources import Conditions, Source, scenarios_of
from service.simulation.trainings import chances
from service.views.figures import count

CONDITIONS = {
    "nothing changes": Conditions(),
    "half drifts, 30 % dearer": Conditions(drift=50, dearer=0.3),
    "8 at a time": Conditions(concurrency=8),
    "a tenth dies": Conditions(failures=0.1),
}
"""Under which everything is played; the first is what the service was measured under before."""
TIMED = 2_000
"""Seeds of which decisions a second are counted in the kernels, and a hundredth of them in core."""


class Section(Struct, frozen=True):
    """A source under a condition, and what was played."""

    source: str
    condition: str
    played: list[tuple[Scenario, Measures]]


def sections(traces: Path | None, family_seed: int, seeds: int, workers: int | None) -> list[Section]:
    """Play every source under every condition.

    Raises:
        OpeningError: The traces cannot be read.
    """
    sources = {family.value: Source(families=(family,), family_seed=family_seed) for family in Family}
    if traces is not None:
        sources = {"recorded": Source(file=traces), **sources}
    found = []
    for source_name, source in sources.items():
        for condition_name, condition in CONDITIONS.items():
            scenarios, _ = scenarios_of(source, condition)
            cut = pieces(scenarios, list(Contender), seeds)
            played = gathered(cut, engines.mapped(play, cut, workers, lambda _: None))
            found.append(Section(source_name, condition_name, played))
    return found


def workloads_table(section: Section) -> Table:
    """Return a row a workload: the regret of each contender."""
    rows = []
    for scenario, measures in section.played:
        results = outcome(scenario, measures).policies
        rows.append((scenario.title, *(estimated(result.regret) for result in results)))
    return Table(("workload", *(contender.value for contender in Contender)), rows)


def sums_table(found: Sequence[Section]) -> Table:
    """Return a row a source and condition: each contender's regret over all workloads, and by Zeus's."""
    rows = []
    for section in found:
        sums = totals([measures for _, measures in section.played])
        regrets = [estimated(total.regret) for total in sums]
        others = [total for total in sums if total.policy is not Contender.ZEUS]
        ratios = [f"{estimated(each.by_zeus)} ({each.wins} of {each.workloads})" for each in others]
        rows.append((f"{section.source}, {section.condition}", *regrets, *ratios))
    headings = [f"{each.value} by zeus" for each in Contender if each is not Contender.ZEUS]
    return Table(("", *(contender.value for contender in Contender), *headings), rows)


def speed_table(scenario: Scenario) -> Table:
    """Return how many decisions a second a core makes: suggestions, and reports that end or go on."""
    begun = time.perf_counter()
    played = play(Piece(scenario, Contender.ZEUS, range(TIMED)))
    in_bulk = time.perf_counter() - begun
    few = range(TIMED // 100)
    drawn = chances(scenario.before, few)
    begun = time.perf_counter()
    told = [
        story_of(decider_of(Contender.ZEUS, scenario, seed), scenario, row).trainings
        for seed, row in zip(few, drawn, strict=True)
    ]
    alone = time.perf_counter() - begun
    decisions = sum(len(each) + int(each["epochs"].sum()) for each in told)
    return Table(
        ("policy zeus, one core", "decisions", "seconds", "decisions a second"),
        [
            (
                "in the kernels",
                count(played.decisions),
                f"{in_bulk:.3f}",
                count(round(played.decisions / in_bulk)),
            ),
            ("in core", count(decisions), f"{alone:.3f}", count(round(decisions / alone))),
        ],
    )


@click.command(context_settings={"show_default": True})
@click.option("--traces", type=click.Path(path_type=Path), help="A folder of recorded trainings.")
@click.option("--family-seed", type=click.IntRange(0), default=0, help="Which workloads are made up.")
@click.option("--seeds", type=click.IntRange(1), default=100, help="Jobs of each workload.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; as many as there are cores, if not named."
)
def main(*, traces: Path | None, family_seed: int, seeds: int, workers: int | None) -> None:
    """Print what each policy loses, and how fast that is found out."""
    try:
        found = sections(traces, family_seed, seeds, workers)
    except OpeningError as error:
        raise click.ClickException(str(error)) from None
    steadily = next(iter(CONDITIONS))
    for section in found:
        if section.condition == steadily:
            print(f"{section.source}, {steadily}\n\n{workloads_table(section).markdown()}\n")
    print(f"All workloads of a source, {seeds} seeds\n\n{sums_table(found).markdown()}\n")
    print(speed_table(found[0].played[0][0]).markdown())


if __name__ == "__main__":
    main()
