"""What each policy loses, on recorded trainings and on made-up ones; and how fast that is found out.

``python -m benchmarks.regret --traces FOLDER`` prints a report in Markdown: the regret of each policy on each
workload; sums over all workloads by source and condition; how soon a drift is recovered from; what is lost
under other terms, defaults and targets; what misleading sources cost; and decisions a second.
``--family-seed`` makes others up, so that one tunes on some and tests on others.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct

from benchmarks.markdown import Table
from benchmarks.misleading import misled, misled_table
from benchmarks.recovery import recovery_table
from benchmarks.settings import settings_table
from service.commands.comparing import estimated
from service.errors import OpeningError
from service.simulation import engines
from service.simulation.contenders import Contender, decider_of
from service.simulation.estimates import Estimate
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
    "drift, 30 % dearer": Conditions(drift=50, dearer=0.3),
    "8 at a time": Conditions(concurrency=8),
    "8 at a time and drift": Conditions(concurrency=8, drift=50, dearer=0.3),
    "a tenth dies": Conditions(failures=0.1),
}
"""Under which everything is played; the first is what the service was measured under before."""
TIMED = 2_000
"""Seeds of which decisions a second are counted in the kernels, and a hundredth of them in core."""
FEWER = 5
"""By which the seeds are divided of what no kernel plays, and of what has many workloads."""
LEAST_SEEDS = 2
TIMED_POLICIES = (Contender.ZEUS, Contender.FRUGAL)
"""Of which it is shown how fast they decide, and how soon they recover."""


class Section(Struct, frozen=True):
    """A source under a condition, and what was played."""

    source: str
    condition: str
    played: list[tuple[Scenario, Measures]]


def sections(
    traces: Path | None, family_seed: int, workloads: int, seeds: int, workers: int | None
) -> list[Section]:
    """Play every source under every condition.

    Raises:
        OpeningError: The traces cannot be read.
    """
    sources = {
        family.value: Source(families=(family,), family_seed=family_seed, number=workloads)
        for family in Family
    }
    if traces is not None:
        sources = {"recorded": Source(file=traces), **sources}
    found = []
    for source_name, source in sources.items():
        for condition_name, condition in CONDITIONS.items():
            scenarios, _ = scenarios_of(source, condition)
            is_fast = condition.concurrency == 1 and condition.failures == 0
            cut = pieces(scenarios, list(Contender), seeds if is_fast else fewer(seeds))
            played = gathered(cut, engines.mapped(play, cut, workers, lambda _: None))
            found.append(Section(source_name, condition_name, played))
    return found


def fewer(seeds: int) -> int:
    """Return how many seeds are played of what takes long."""
    return max(LEAST_SEEDS, seeds // FEWER)


def workloads_table(section: Section) -> Table:
    """Return a row a workload: the regret of each contender."""
    rows = []
    for scenario, measures in section.played:
        results = outcome(scenario, measures).policies
        rows.append((scenario.title, *(estimated(result.regret) for result in results)))
    return Table(("workload", *(contender.value for contender in Contender)), rows)


def sums_table(found: Sequence[Section]) -> Table:
    """Return a row a source and condition: each contender's regret over all workloads, and by Zeus's.

    Behind a ratio is on how many workloads the mean is lower. ``apart``: frugal's interval lies below Zeus's.
    """
    rows = []
    for section in found:
        sums = {each.policy: each for each in totals([measures for _, measures in section.played])}
        regrets = [estimated(total.regret) for total in sums.values()]
        others = [total for total in sums.values() if total.policy is not Contender.ZEUS]
        ratios = [f"{estimated(each.by_zeus)} ({each.wins} of {each.workloads})" for each in others]
        apart = "yes" if _is_below(sums[Contender.FRUGAL].regret, sums[Contender.ZEUS].regret) else "no"
        rows.append((f"{section.source}, {section.condition}", *regrets, *ratios, apart))
    headings = [f"{each.value} by zeus" for each in Contender if each is not Contender.ZEUS]
    return Table(("", *(contender.value for contender in Contender), *headings, "apart"), rows)


def _is_below(one: Estimate | None, other: Estimate | None) -> bool:
    if one is None or other is None or one.high is None or other.low is None:
        return False
    return one.high < other.low


def speed_table(scenario: Scenario) -> Table:
    """Return how many decisions a second a core makes: suggestions, and reports that end or go on."""
    rows = [row for contender in TIMED_POLICIES for row in _speeds(contender, scenario)]
    return Table(("one core", "decisions", "seconds", "decisions a second"), rows)


def _speeds(contender: Contender, scenario: Scenario) -> Iterator[tuple[str, ...]]:
    begun = time.perf_counter()
    played = play(Piece(scenario, contender, range(TIMED)))
    yield _speed(f"{contender.value} in the kernels", played.decisions, time.perf_counter() - begun)
    few = range(TIMED // 100)
    drawn = chances(scenario.before, few)
    begun = time.perf_counter()
    told = [
        story_of(decider_of(contender, scenario, seed), scenario, row).trainings
        for seed, row in zip(few, drawn, strict=True)
    ]
    decisions = sum(len(each) + int(each["epochs"].sum()) for each in told)
    yield _speed(f"{contender.value} in core", decisions, time.perf_counter() - begun)


def _speed(what: str, decisions: int, seconds: float) -> tuple[str, ...]:
    return what, count(decisions), f"{seconds:.3f}", count(round(decisions / seconds))


@click.command(context_settings={"show_default": True})
@click.option("--traces", type=click.Path(path_type=Path), help="A folder of recorded trainings.")
@click.option("--family-seed", type=click.IntRange(0), default=0, help="Which workloads are made up.")
@click.option("--workloads", type=click.IntRange(1), default=8, help="Workloads of each family.")
@click.option("--seeds", type=click.IntRange(2), default=100, help="Jobs of each workload.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; as many as there are cores, if not named."
)
def main(*, traces: Path | None, family_seed: int, workloads: int, seeds: int, workers: int | None) -> None:
    """Print what each policy loses, and how fast that is found out."""
    try:
        found = sections(traces, family_seed, workloads, seeds, workers)
    except OpeningError as error:
        raise click.ClickException(str(error)) from None
    steadily = next(iter(CONDITIONS))
    print("# What each policy loses\n")
    for section in found:
        if section.condition == steadily:
            print(f"## {section.source}, {steadily}\n\n{workloads_table(section).markdown()}\n")
    print(f"## All workloads of a source, {seeds} seeds\n\n{sums_table(found).markdown()}\n")
    print(f"Of what no kernel plays there are {fewer(seeds)} seeds.\n")
    back = recovery_table(TIMED_POLICIES, family_seed, workloads, fewer(seeds))
    print(f"## After a drift, {fewer(seeds)} seeds\n\n{back.markdown()}\n")
    other = settings_table(traces, workloads, fewer(seeds), workers)
    print(f"## Where nobody has tuned, {fewer(seeds)} seeds\n\n{other.markdown()}\n")
    begun = misled_table(misled([scenario for scenario, _ in found[0].played], fewer(seeds), workers))
    print(f"## A warm start, {found[0].source}, {fewer(seeds)} seeds\n\n{begun.markdown()}\n")
    print(f"## How fast\n\n{speed_table(found[0].played[0][0]).markdown()}")


if __name__ == "__main__":
    main()
