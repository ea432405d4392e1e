"""A real training recurs against a real server: does it end on the batch size that a search finds?"""

import argparse
import logging
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from benchmarks.markdown import Table
from benchmarks.server import ServerFailed, stop_when_terminated
from benchmarks.training import plans
from benchmarks.training.findings import (
    NEAR,
    Curves,
    Found,
    epochs_to_target,
    excess,
    findings,
    most_chosen,
)
from benchmarks.training.plans import FULL, SHORT, Plan
from benchmarks.training.recurrences import Recurrence, recur, served
from benchmarks.training.search import searched

LAST = 10
"""Recurrences at the end that show what was learned."""


def main() -> int:
    """Demonstrate; return 0 where it holds."""
    stop_when_terminated()
    logging.basicConfig(format="%(name)s: %(message)s")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a file
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=Path, default=Path(".venv/bin/batchbandit"), help="its program")
    parser.add_argument("--short", action="store_true", help="fewer images, batch sizes and recurrences")
    parser.add_argument("--mab-seed", type=int, help="of the job, instead of the documented one")
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    if options.mab_seed is not None:
        plan = replace(plan, mab_seed=options.mab_seed)
    try:
        return 0 if demonstrated(plan, options.server) else 1
    except (ServerFailed, ValueError) as failure:
        sys.exit(str(failure))


def demonstrated(plan: Plan, program: Path) -> bool:
    """Search, train, compare and print; tell whether what was chosen is as good as the cheapest.

    Args:
        plan: What recurs.
        program: Serves.

    Raises:
        ServerFailed: It did not serve.
        ValueError: No batch size is usable.
    """
    print(described(plan))
    curves = searched(plan, print)
    found = findings(plan, curves)
    print(f"\n{search_table(found)}")
    with served(program) as server:
        print("\nWith the declared cost, which is judged:\n")
        declared = shown(recur(server, plan, "digits-declared", is_declared=True))
        print(f"\n{judgement(found, declared)}")
        print("\nWith this machine's own clock and meter, which is only reported:\n")
        try:
            print(f"\n{lately(shown(recur(server, plan, 'digits-measured', is_declared=False)))}")
        except ServerFailed as failure:  # where the clock drifts by more than the bound, nothing may be left
            print(f"\nIt ends here: {failure}")
    strange = [each.number for each in declared if not repeats(plan, curves, each)]
    if strange:
        print(f"\nRecurrences that do not repeat what the search found: {strange}")
    return holds(found, declared) and not strange


def described(plan: Plan) -> str:
    """Return what is going to be shown."""
    return (
        f"{plan.trained:,} images of digits to train with, {plan.tested:,} to test with. A training has "
        f"reached its target once it tells {plan.target:.1%} of these, and is given up after "
        f"{plan.max_epochs} epochs.\nDeclared: {plans.STEP_SECONDS * 1e3:g} ms a step at "
        f"{plans.STEP_WATTS:g} W, {plans.IMAGE_SECONDS * 1e6:g} us an image at {plans.IMAGE_WATTS:g} W. "
        f"Cost = {plans.ETA:g} x energy + {1 - plans.ETA:g} x {plans.MAX_POWER:g} W x time."
    )


def search_table(found: Sequence[Found]) -> str:
    """Return what exhaustive search found, for people."""
    rows = [
        (
            str(each.batch_size),
            " ".join("-" if epochs is None else str(epochs) for epochs in each.epochs),
            f"{each.cost:,.0f} J" if math.isfinite(each.cost) else "not usable",
            f"{excess(found, each.batch_size):+.1%}" if math.isfinite(each.cost) else "",
        )
        for each in found
    ]
    return Table(("batch size", "epochs, seed by seed", "mean cost", "above the cheapest"), rows).markdown()


def shown(recurrences: Iterable[Recurrence]) -> list[Recurrence]:
    """Print each recurrence as it ends, and return them all."""
    headings = ("recurrence", "stage", "seed", "batch size", "epochs", "time", "energy", "verdict")
    done: list[Recurrence] = []
    for each in recurrences:
        row = (
            str(each.number + 1),
            each.stage,
            str(each.seed),
            str(each.batch_size),
            str(each.epochs),
            f"{each.seconds:.1f} s",
            f"{each.joules:,.0f} J" if each.joules else "not measured",
            "converged" if each.converged else each.message.partition(":")[0],
        )
        lines = Table(headings, [row]).markdown().splitlines()
        print("\n".join(lines if not done else lines[-1:]))
        done.append(each)
    return done


def lately(recurrences: Sequence[Recurrence]) -> str:
    """Return what was chosen in the last recurrences."""
    sizes = [each.batch_size for each in recurrences[-LAST:]]
    size = most_chosen(sizes)
    return f"Most chosen of the last {len(sizes)}: batch size {size}, {sizes.count(size)} times."


def judgement(found: Sequence[Found], recurrences: Sequence[Recurrence]) -> str:
    """Return how good what was chosen is."""
    size = most_chosen([each.batch_size for each in recurrences[-LAST:]])
    cheapest = min(found, key=lambda each: each.cost).batch_size
    verdict = "good" if holds(found, recurrences) else "not good"
    return (
        f"{lately(recurrences)} It costs {excess(found, size):.1%} more than the cheapest, {cheapest}: "
        f"{verdict}, since up to {NEAR:.0%} is."
    )


def holds(found: Sequence[Found], recurrences: Sequence[Recurrence]) -> bool:
    """Tell whether what was most chosen at the end is as good as the cheapest."""
    return excess(found, most_chosen([each.batch_size for each in recurrences[-LAST:]])) <= NEAR


def repeats(plan: Plan, curves: Curves, recurrence: Recurrence) -> bool:
    """Tell whether a recurrence went as the search's training did, and is kept at what is declared for it."""
    curve = curves[recurrence.batch_size][recurrence.seed]
    declared = plan.declared(recurrence.batch_size, recurrence.epochs)
    is_declared = all(
        math.isclose(kept, said)
        for kept, said in zip((recurrence.seconds, recurrence.joules), declared, strict=True)
    )
    arrived = epochs_to_target(plan, curve)
    if recurrence.converged:
        return is_declared and recurrence.epochs == arrived
    return is_declared and (arrived is None or recurrence.epochs <= arrived)


if __name__ == "__main__":
    sys.exit(main())
