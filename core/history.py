"""The results of a batch size as an array, on which its arm is fitted."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from core.cost import cost_of
from core.records import Terms, Trial

History = NDArray[np.float64]
"""A row a result, ascending by trial number: the number, seconds, joules; float64 (n, 3)."""


def history_of(trials: Iterable[Trial]) -> History:
    """Return the results of those trials that have one, in their order."""
    rows = [
        (trial.trial_number, trial.time, trial.energy)
        for trial in trials
        if trial.time is not None and trial.energy is not None
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def rewards_of(terms: Terms, history: History) -> NDArray[np.float64]:
    """Return the reward of each result, minus its cost, in joules."""
    rewards: NDArray[np.float64] = -cost_of(terms, history[:, 1], history[:, 2])
    return rewards
