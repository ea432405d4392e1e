"""What a new job begins with under policy ``frugal``: what another one has shown, at its batch sizes."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.needs import Precedent
from core.policies.knowledge import Inherited
from core.records import Trial

SCATTER = 0.12
"""Of the logarithm of the epochs of one training."""


class Shown(NamedTuple):
    """Logarithms of seconds and joules an epoch, and of epochs; and from how many trainings that is."""

    time: float
    energy: float
    epochs: float
    successes: float


def inherited(batch_sizes: Sequence[int], precedents: Sequence[Precedent]) -> dict[int, Inherited]:
    """Return what a job with these batch sizes begins with: that of the precedent that has shown the most.

    Between two batch sizes of that one it is on a straight line of logarithms; beyond them there is none.
    """
    known = max(map(shown, precedents), key=len, default={})
    return {size: read for size in batch_sizes if (read := _at(known, size)) is not None}


def shown(precedent: Precedent) -> dict[int, Shown]:
    """Return what a job has shown of each batch size that has converged, ascending."""
    grouped: dict[int, list[Trial]] = defaultdict(list)
    for trial in precedent.trials:
        if trial.epochs is not None and trial.time and trial.energy:
            grouped[trial.batch_size].append(trial)
    return {
        size: _shown(trials) for size, trials in sorted(grouped.items()) if any(t.converged for t in trials)
    }


def _shown(trials: Sequence[Trial]) -> Shown:
    epochs = sum(trial.epochs or 0 for trial in trials)
    successes = [trial.epochs or 0 for trial in trials if trial.converged]
    return Shown(
        math.log(math.fsum(trial.time or 0.0 for trial in trials) / epochs),
        math.log(math.fsum(trial.energy or 0.0 for trial in trials) / epochs),
        math.log(sum(successes) / len(successes)),
        len(successes),
    )


def _at(known: Mapping[int, Shown], size: int) -> Inherited | None:
    below = max((other for other in known if other <= size), default=None)
    above = min((other for other in known if other >= size), default=None)
    if below is None or above is None:
        return None
    low, high = known[below], known[above]
    share = 0.0 if below == above else math.log(size / below) / math.log(above / below)
    time, energy, epochs, successes = (
        one + share * (other - one) for one, other in zip(low, high, strict=True)
    )
    return Inherited(math.exp(time), math.exp(energy), epochs, SCATTER**2 / successes)
