"""What frugal loses by what Zeus's policy does where nobody has tuned it.

That is: other terms, other default batch sizes, other targets, and workloads made up by other seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.markdown import Table
from service.commands.comparing import estimated
from service.simulation import engines
from service.simulation.contenders import Contender
from service.simulation.estimates import Estimate
from service.simulation.families import Family
from service.simulation.outcomes import Measures, gathered, totals
from service.simulation.playing import pieces, play
from service.simulation.scenarios import Scenario, Terms
from service.simulation.sources import Conditions, Source, scenario_of, scenarios_of
from service.simulation.workloads import Workload

FRESH = 1000
"""A family seed that nobody looked at while the policy was made."""
ETAS = (0.0, 0.25, 0.75, 1.0)
BETAS = (1.5, 3.0, None)
EASIER = (1, 2)
"""Levels below the target."""

Settings = Mapping[str, Sequence[Scenario]]


class Held(Struct, frozen=True):
    """What frugal came to: its regret by Zeus's, and the workload on which that is highest."""

    setting: str
    workloads: int
    ratio: Estimate | None
    wins: int
    worst: float
    worst_workload: str


def settings(traces: Path | None, workloads: int) -> Settings:
    """Return what is played, by setting."""
    found: dict[str, Sequence[Scenario]] = {}
    for family in Family:
        found[f"made-up workloads, {family.value}"] = scenarios_of(
            Source(families=(family,), family_seed=FRESH, number=workloads), Conditions()
        )[0]
    if traces is not None:
        recorded, _ = scenarios_of(Source(file=traces), Conditions())
        found |= _of_recorded([scenario.before for scenario in recorded])
    return found


def _of_recorded(workloads: Sequence[Workload]) -> Settings:
    def under(terms: Terms, of: Sequence[Workload] = workloads) -> list[Scenario]:
        return [scenario_of(workload, Conditions(terms=terms)) for workload in of]

    return {
        "recorded": under(Terms()),
        **{f"recorded, eta_knob {eta:g}": under(Terms(eta_knob=eta)) for eta in ETAS},
        **{
            f"recorded, beta_knob {'null' if beta is None else f'{beta:g}'}": under(Terms(beta_knob=beta))
            for beta in BETAS
        },
        "recorded, every default that converges": under(
            Terms(), [each for workload in workloads for each in defaults_of(workload)]
        ),
        **{
            f"recorded, target {steps} level{'s'[: steps > 1]} lower": under(
                Terms(), [easier(workload, steps) for workload in workloads]
            )
            for steps in EASIER
        },
    }


def defaults_of(workload: Workload) -> Iterator[Workload]:
    """Go through a workload with each default batch size that always reaches the target."""
    for size, runs in workload.runs.items():
        if all(workload.goal.epochs(run.curve) is not None for run in runs):
            yield replace(workload, name=f"{workload.name} from {size}", default_batch_size=size)


def easier(workload: Workload, steps: int) -> Workload:
    """Return a workload whose target is so many recorded levels easier, where there are that many."""
    goal = workload.goal
    levels = {metric for runs in workload.runs.values() for run in runs for metric in run.curve}
    below = [level for level in levels if not goal.reached(level)]
    below.sort(reverse=goal.higher_is_better)
    return replace(workload, goal=replace(goal, target_metric=below[min(steps, len(below)) - 1]))


def held(setting: str, scenarios: Sequence[Scenario], seeds: int, workers: int | None) -> Held:
    """Play a setting."""
    cut = pieces(scenarios, [Contender.ZEUS, Contender.FRUGAL], seeds)
    played = gathered(cut, engines.mapped(play, cut, workers, lambda _: None))
    [_, total] = totals([measures for _, measures in played])
    worst, title = max((_ratio(measures), scenario.title) for scenario, measures in played)
    return Held(setting, len(played), total.by_zeus, total.wins or 0, worst, title)


def _ratio(measures: Measures) -> float:
    own, zeus = measures[Contender.FRUGAL], measures[Contender.ZEUS]
    both = own.ended & zeus.ended
    return float(own.regret()[both].mean() / zeus.regret()[both].mean())


def settings_table(traces: Path | None, workloads: int, seeds: int, workers: int | None) -> Table:
    """Return a row a setting."""
    rows = []
    for setting, scenarios in settings(traces, workloads).items():
        each = held(setting, scenarios, seeds, workers)
        rows.append(
            (
                each.setting,
                estimated(each.ratio),
                f"{each.wins} of {each.workloads}",
                f"{each.worst:.2f}",
                each.worst_workload,
            )
        )
    return Table(("setting", "frugal by zeus", "better on", "worst workload", "which"), rows)
