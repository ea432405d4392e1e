"""How soon a policy finds the best batch size after costs have moved, family by family."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from benchmarks.markdown import Table
from service.simulation.contenders import Contender, stories
from service.simulation.families import Family
from service.simulation.recurrences import Story
from service.simulation.scenarios import Scenario
from service.simulation.sources import Conditions, Source, scenarios_of

NEAR = 1.15
"""How much dearer than the best batch size is near it."""
IN_A_ROW = 3
"""So many recurrences near it, and it is found."""
CHANGE = 50


class Recovery(Struct, frozen=True):
    """After how many recurrences jobs of a family had found the best batch size: of all seeds together."""

    family: str
    median: float
    ninth_decile: float
    never: float
    """The share of jobs that never did."""


def recoveries(
    contender: Contender, family_seed: int, workloads: int, seeds: int, dearer: float
) -> list[Recovery]:
    """Let costs move, after which the best batch size until then is dearer by a share than another."""
    found = []
    for family in Family:
        source = Source(families=(family,), family_seed=family_seed, number=workloads)
        scenarios, _ = scenarios_of(source, Conditions(drift=CHANGE, dearer=dearer))
        taken = np.array(
            [
                recovery(scenario, story)
                for scenario in scenarios
                for story in stories(contender, scenario, range(seeds))
            ]
        )
        middle, most = np.percentile(taken, (50, 90), method="inverted_cdf").tolist()
        found.append(Recovery(family.value, middle, most, float(np.isinf(taken).mean())))
    return found


def recovery(scenario: Scenario, story: Story) -> float:
    """Return after how many recurrences since the change those near the best begin, infinite if never.

    A recurrence is of the batch size that reached its target.
    """
    after, eta = scenario.after, scenario.terms.eta_knob
    limit = NEAR * after.expected_cost(after.best_batch_size(eta), eta)
    near = np.array([after.expected_cost(size, eta) <= limit for size in after.batch_sizes])
    reached = story.trainings[story.trainings["converged"] == 1]
    since = reached[reached["recurrence"] >= scenario.change]
    is_near = near[since["size"][np.argsort(since["recurrence"], kind="stable")]]
    begins = [
        place for place in range(len(is_near) - IN_A_ROW + 1) if is_near[place : place + IN_A_ROW].all()
    ]
    return float(begins[0]) if begins else np.inf


def recovery_table(contenders: Sequence[Contender], family_seed: int, workloads: int, seeds: int) -> Table:
    """Return a row a family: the median of each policy and its ninth decile, in recurrences."""
    told = {each: recoveries(each, family_seed, workloads, seeds, 0.3) for each in contenders}
    headings = [f"{each.value}: {what}" for each in contenders for what in ("median", "nine of ten", "never")]
    rows = [
        (
            of_family[0].family,
            *(
                cell
                for one in of_family
                for cell in (f"{one.median:g}", f"{one.ninth_decile:g}", f"{one.never:.1%}")
            ),
        )
        for of_family in zip(*told.values(), strict=True)
    ]
    return Table(("recurrences until the best is found again", *headings), rows)
