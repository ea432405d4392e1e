"""The command that says what the service would choose for trainings that were recorded or are made up."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import click
from msgspec import Struct

from service.commands.asking import asking
from service.commands.calling import Service
from service.commands.comparing import outcomes_table, spent_table, totals_table
from service.commands.examples import examples
from service.commands.flags import computed, decided, ensure_of_use, trained
from service.commands.jobs import bound_of
from service.commands.printing import Advance, as_json, print_json, progress, show, standard_error
from service.options import refusals_said
from service.simulation import engines, pictures
from service.simulation.contenders import Contender
from service.simulation.families import Family, Trouble
from service.simulation.outcomes import Measures, Total, gathered, outcome, totals
from service.simulation.playing import Piece, Played, pieces, play
from service.simulation.recordings import Overrides
from service.simulation.scenarios import Scenario, Terms
from service.simulation.sources import Conditions, Source, scenarios_of


class Totals(Struct, frozen=True):
    """The last line of what is printed for programs."""

    total: list[Total]


class Where(Struct, frozen=True):
    """Where a simulation is computed, and who decides in it."""

    workers: int | None
    dask: str | None
    url: str | None
    token: str | None
    is_kept: bool


@click.command(
    "simulate",
    epilog=examples(
        "batchbandit simulate runs.csv --default 256 --max-power 300",
        "batchbandit simulate traces/ --seeds 1000 --picture regret.svg",
        "batchbandit simulate --synthetic valley --drift 50 --concurrency 8",
        "batchbandit jobs export resnet -o resnet.csv",
        "batchbandit simulate resnet.csv --default 256 --max-power 300 --eta 1 --json",
        has_codes=True,
    ),
)
@trained
@decided
@computed
@click.option(
    "--picture", metavar="FILE", type=click.Path(path_type=Path), help="Draw the regret: SVG, PNG or PDF."
)
@as_json
@click.pass_context
def simulate_runs(
    context: click.Context,
    /,
    *,
    as_json: bool,
    picture: Path | None,
    **options: Any,  # noqa: ANN401  (of those options' kinds)
) -> None:
    """Say what the service would choose for trainings, and what it would save; none need run.

    FILE has comma-separated values, a row a run: batch_size; epochs (until the target was reached, empty
    where it never was), seconds_per_epoch and joules_per_epoch; or time, energy and converged, as jobs export
    writes them. A column workload tells several apart; default_batch_size, max_power and max_epochs may be
    columns too. Or FILE is a folder of recorded trainings in the format of Zeus's own: summary_train.csv and
    a summary_power_GPU.csv for each GPU. Without FILE the trainings are made up: --synthetic.
    """
    ensure_of_use(context)
    where = _taken(Where, options)
    conditions = Conditions(
        recurrences=options["recurrences"],
        noise=options["noise"],
        failures=options["failures"],
        drift=options["drift"],
        dearer=options["dearer"],
        concurrency=options["concurrency"],
        terms=Terms(eta_knob=options["eta"], beta_knob=bound_of(options["beta"])),
    )
    contenders = [Contender(name) for name in dict.fromkeys(options["policies"])] or list(Contender)
    with refusals_said():
        if picture is not None:
            pictures.ensure_drawable(picture)
        source = Source(
            file=options["file"],
            overrides=_taken(Overrides, options),
            families=tuple(Family(name) for name in dict.fromkeys(options["families"])),
            number=options["workloads"],
            family_seed=options["family_seed"],
            trouble=Trouble(hopeless=options["hopeless"], unsteady=options["unsteady"]),
        )
        scenarios, passed_over = scenarios_of(source, conditions)
        for each in passed_over:
            standard_error().print(f"passed over: {each}")
        played = simulated(scenarios, contenders, options["seeds"], where)
    _print(played, as_json=as_json, seeds=options["seeds"])
    if picture is not None:
        with refusals_said():
            pictures.draw(picture, played)


def _taken(kind: type[Any], options: dict[str, Any]) -> Any:  # noqa: ANN401  (of that kind)
    return kind(**{name: options[name] for name in kind.__struct_fields__})


def simulated(
    scenarios: Sequence[Scenario], contenders: Sequence[Contender], seeds: int, where: Where
) -> list[tuple[Scenario, Measures]]:
    """Play every scenario under every contender.

    Raises:
        OpeningError: A run has no cost, or there is no Dask.
        Failed: The service refuses, or does not answer.
    """
    for scenario in scenarios:  # before anything is played
        scenario.before.best_batch_size(scenario.terms.eta_knob)
    cut = pieces(scenarios, contenders, seeds)
    with progress("Simulating", len(cut)) as advance:
        return gathered(cut, _computed(cut, where, advance))


def _computed(cut: Sequence[Piece], where: Where, advance: Advance) -> list[Played]:
    if where.url is not None:
        is_over = Event()
        with (
            Service(where.url, where.token) as service,
            engines.threads(where.workers, is_over.set) as pool,
        ):
            work = partial(play, remotely=asking(service, is_over, is_kept=where.is_kept))
            return engines.submitted(pool, work, cut, advance)
    if where.dask is not None:
        with engines.cluster(where.dask) as pool:
            return engines.submitted(pool, play, cut, advance)
    return engines.mapped(play, cut, where.workers, advance)


def _print(played: Sequence[tuple[Scenario, Measures]], *, as_json: bool, seeds: int) -> None:
    outcomes = [outcome(scenario, measures) for scenario, measures in played]
    total = totals([measures for _, measures in played])
    if as_json:
        for each in outcomes:
            print_json(each)
        print_json(Totals(total))
        return
    show(outcomes_table(outcomes))
    show("", totals_table(total, len(outcomes)), "", spent_table(total), "")
    show(
        f"Means of {seeds} seeds with 95 % intervals; {played[0][0].recurrences} recurrences each. Chosen: "
        "in the last trainings. Regret: what was spent beyond the best batch size, in trainings at that. "
        "Saved: of what the default has taken on the same trainings. Failed trainings count.",
        style="dim",
    )
