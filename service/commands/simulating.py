"""The command that says what the service would choose for recorded trainings, and what it would save."""

from pathlib import Path
from typing import Any

import click

from core.policies import POLICIES
from core.records import Policy
from service.commands.examples import examples
from service.commands.jobs import bound_of
from service.commands.printing import Listing, as_json, print_json, progress, show
from service.logs import printable
from service.options import refusals_said
from service.simulation.outcomes import Outcome, Plan, Spread, simulate
from service.simulation.recordings import Overrides, read
from service.views.figures import NONE, percent

MOST_CHOSEN = 3
"""Batch sizes that a row names."""


@click.command(
    "simulate",
    epilog=examples(
        "batchbandit simulate runs.csv --default 256 --max-power 300",
        "batchbandit jobs export resnet -o resnet.csv",
        "batchbandit simulate resnet.csv --default 256 --max-power 300 --eta 1 --json",
        has_codes=True,
    ),
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--recurrences",
    type=click.IntRange(1, 10_000),
    default=60,
    show_default=True,
    help="Times that each workload reaches its target.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Jobs of each workload, with other chance each.",
)
@click.option(
    "--eta",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="How much energy counts against time, 0 to 1.",
)
@click.option(
    "--beta",
    metavar="NUMBER|none",
    default="2",
    show_default=True,
    help="At how many times the lowest cost trainings are stopped.",
)
@click.option(
    "--default",
    "default_batch_size",
    metavar="SIZE",
    type=click.IntRange(min=1),
    help="The default batch size.",
)
@click.option(
    "--max-power",
    metavar="WATTS",
    type=click.FloatRange(0, 1e100, min_open=True),
    help="Of all GPUs of a job.",
)
@click.option(
    "--max-epochs",
    metavar="EPOCHS",
    type=click.IntRange(1, 2**31 - 1),
    help="After how many epochs a training has failed to converge.",
)
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in POLICIES], case_sensitive=False),
    default=Policy.ZEUS.value,
    show_default=True,
    help="How batch sizes are chosen.",
)
@as_json
def simulate_runs(
    file: Path,
    *,
    recurrences: int,
    seeds: int,
    eta: float,
    beta: str,
    policy: str,
    as_json: bool,
    **overrides: Any,  # noqa: ANN401  (of those options' kinds)
) -> None:
    """Say what the service would choose for recorded trainings, and what it would save; none need run.

    FILE has comma-separated values, a row a run: batch_size; epochs (until the target was reached, empty
    where it never was), seconds_per_epoch and joules_per_epoch; or time, energy and converged, as jobs export
    writes them. A column workload tells several apart; default_batch_size, max_power and max_epochs may be
    columns too.
    """
    plan = Plan(Policy(policy), recurrences, seeds, eta, bound_of(beta))
    with refusals_said():
        workloads = read(file, Overrides(**overrides))
        with progress("Simulating", len(workloads) * seeds) as advance:
            outcomes = list(simulate(workloads, plan, advance))
    if as_json:
        for outcome in outcomes:
            print_json(outcome)
        return
    show(outcomes_table(outcomes))
    show(
        f"Medians of {seeds} seeds, and the lowest and highest; {recurrences} recurrences each. Chosen: in "
        "the last trainings. Regret: what was spent beyond the best batch size, in trainings at that. Saved: "
        "of what the default takes on average, failed trainings included.",
        style="dim",
    )


def outcomes_table(outcomes: list[Outcome]) -> Listing:
    """Return a row a workload."""
    headings = ("workload", "default", "best", "chosen", "regret", "cost saved", "energy saved", "time saved")
    made = Listing(
        *headings,
        "stuck",
        numbers=("default", "best", "stuck"),
        names=("workload", "chosen"),
        spare=("default", "regret", "time saved", "energy saved"),
    )
    for outcome in outcomes:
        made.add_row(
            printable(outcome.workload),
            str(outcome.default_batch_size),
            str(outcome.best_batch_size),
            chosen_said(outcome),
            NONE if outcome.regret is None else regret_said(outcome.regret),
            *map(saved_said, (outcome.saved_cost, outcome.saved_energy, outcome.saved_time)),
            str(outcome.stuck),
        )
    return made


def chosen_said(outcome: Outcome) -> str:
    """Return the batch sizes that were chosen most at the end."""
    most = list(outcome.chosen.items())[:MOST_CHOSEN]
    return ", ".join(f"{size} ({percent(share)})" for size, share in most) or NONE


def regret_said(regret: Spread) -> str:
    """Return a regret in trainings."""
    return f"{regret.median:.1f} ({regret.low:.1f} to {regret.high:.1f})"


def saved_said(saved: Spread | None) -> str:
    """Return what was saved, in percent."""
    if saved is None:
        return NONE
    return f"{percent(saved.median)} ({percent(saved.low)} to {percent(saved.high)})"
