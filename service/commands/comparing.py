"""What a simulation prints for people: each workload, all of them together, and what was spent."""

from collections.abc import Sequence

from service.commands.printing import Listing
from service.logs import printable
from service.simulation.contenders import Contender
from service.simulation.estimates import Estimate
from service.simulation.outcomes import Outcome, Result, Total
from service.views.figures import MINUS, NONE, percent

MOST_CHOSEN = 2
"""Batch sizes that a row names."""


def outcomes_table(outcomes: Sequence[Outcome]) -> Listing:
    """Return a row a workload and contender."""
    numbers = ("regret", "by zeus", "worst", "cost saved", "energy saved", "time saved", "stuck")
    made = Listing(
        "workload",
        "policy",
        "chosen",
        *numbers,
        numbers=numbers,
        names=("workload", "chosen"),
        spare=("worst", "time saved", "energy saved", "chosen"),
    )
    for outcome in outcomes:
        for result in outcome.policies:
            made.add_row(printable(outcome.workload), *_cells(result))
    return made


def _cells(result: Result) -> tuple[str, ...]:
    default = result.against.get(Contender.DEFAULT)
    saved = (default.cost, default.energy, default.time) if default else (None, None, None)
    most = list(result.chosen.items())[:MOST_CHOSEN]
    return (
        result.policy.value,
        ", ".join(f"{size} ({percent(share)})" for size, share in most) or NONE,
        estimated(result.regret),
        estimated(result.by_zeus) if result.policy is not Contender.ZEUS else NONE,
        NONE if result.worst is None or result.policy is Contender.ZEUS else f"{result.worst:.2f}",
        *map(saved_said, saved),
        str(result.stuck),
    )


def totals_table(totals: Sequence[Total], workloads: int) -> Listing:
    """Return a row a contender, over all workloads."""
    numbers = ("regret", "by zeus", "worst", "wins", "stuck")
    made = Listing(f"{workloads} workloads" if workloads > 1 else "1 workload", *numbers, numbers=numbers)
    for total in totals:
        is_zeus = total.policy is Contender.ZEUS
        made.add_row(
            total.policy.value,
            estimated(total.regret),
            NONE if is_zeus else estimated(total.by_zeus),
            NONE if is_zeus or total.worst is None else f"{total.worst:.2f}",
            NONE if is_zeus or total.wins is None else str(total.wins),
            str(total.stuck),
        )
    return made


def spent_table(totals: Sequence[Total]) -> Listing:
    """Return a row a contender and measure: what was spent, by what each other one has spent."""
    others = [total.policy for total in totals]
    headings = [f"by {other.value}" for other in others]
    made = Listing("spent", "", *headings, numbers=headings)
    for total in totals:
        for measure in ("cost", "energy", "time"):
            cells = [
                estimated(getattr(total.against[other], measure)) if other in total.against else NONE
                for other in others
            ]
            made.add_row(total.policy.value, measure, *cells)
    return made


def estimated(estimate: Estimate | None) -> str:
    """Return a mean and half the width of its interval."""
    if estimate is None:
        return NONE
    digits = 2 if abs(estimate.value) < 100 else 0  # noqa: PLR2004  (three figures say enough)
    said = f"{estimate.value:z.{digits}f}".replace("-", MINUS)
    return said if estimate.high is None else f"{said} ± {estimate.high - estimate.value:.{digits}f}"


def saved_said(spent: Estimate | None) -> str:
    """Return what was saved of what another has spent."""
    if spent is None:
        return NONE
    said = percent(1 - spent.value)
    return said if spent.high is None else f"{said} ± {percent(spent.high - spent.value)}"
