"""A job's latest costs as a line among words."""

from collections.abc import Sequence

from msgspec import Struct

from service.store.sparklines import Latest
from service.views import figures

WIDTH, HEIGHT, MARGIN = 120.0, 28.0, 3.0


class Sparkline(Struct, frozen=True):
    """What is drawn, in units of ``WIDTH`` by ``HEIGHT``, and what it shows in words.

    ``line`` goes through the trials that converged, ``lost`` marks those that did not or that failed,
    ``usual`` is the height at which the default batch size lies.
    """

    line: str
    end: tuple[float, float]
    lost: str
    usual: float | None
    words: str


def drawn(latest: Latest) -> Sparkline | None:
    """Draw the latest trials of a job; None where none of them converged."""
    trials, usual = latest.trials, latest.usual
    costs = [trial.cost for trial in trials if trial.cost is not None]
    if not costs:
        return None
    heights = [*costs, usual] if usual is not None else costs
    low, high = min(heights), max(heights)
    first, last = trials[0].trial_number, trials[-1].trial_number

    def x(number: int) -> float:
        part = (number - first) / (last - first) if last > first else 1.0
        return round(MARGIN + part * (WIDTH - 2 * MARGIN), 1)

    def y(cost: float) -> float:
        part = (cost - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - MARGIN - part * (HEIGHT - 2 * MARGIN), 1)

    points = [(x(trial.trial_number), y(trial.cost)) for trial in trials if trial.cost is not None]
    lost = [trial for trial in trials if trial.cost is None]
    crosses = [(x(trial.trial_number), HEIGHT - MARGIN) for trial in lost]
    return Sparkline(
        line="M" + "L".join(f"{left:g} {top:g}" for left, top in points),
        end=points[-1],
        lost="".join(f"M{left:g} {top - 2:g}v4" for left, top in crosses),
        usual=None if usual is None else y(usual),
        words=_words(len(trials), costs, len(lost), usual),
    )


def _words(number: int, costs: Sequence[float], num_lost: int, usual: float | None) -> str:
    parts = [
        f"Of the last {number} trials the latest that converged cost {figures.joules(costs[-1])}",
        f"all that did cost {figures.joules(min(costs))} to {figures.joules(max(costs))}",
    ]
    if usual is not None:
        parts.append(f"the default batch size {figures.joules(usual)}")
    if num_lost:
        parts.append(f"{figures.count(num_lost)} failed or did not converge")
    return "; ".join(parts) + "."
