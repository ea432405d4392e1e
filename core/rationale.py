"""Why a trial has the batch size that it has, as it is kept with the trial."""

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from core.records import Arm, Stage


class Rule(StrEnum):
    """What chose a batch size.

    Of policy ``zeus`` in the pruning stage the walk: the round's ``default``, the next ``smaller``, the next
    ``larger`` one; or the ``stand_in`` for an exploration that still runs. In the bandit ``unexplored``, an
    arm with too few observations, the first of a random order; or ``sampled``, the largest Thompson sample.

    Of policy ``frugal`` the ``default`` first; while nothing has converged ``sought``, what is expected to
    reach the target at the lowest cost; then ``probed``, what may save more than it costs to find out; else
    ``sampled``, of those that have converged.

    Of both ``paused``, the best one so far while nothing is explored; or ``chosen``, by the training itself.
    """

    DEFAULT = "default"
    SMALLER = "smaller"
    LARGER = "larger"
    STAND_IN = "stand_in"
    UNEXPLORED = "unexplored"
    SAMPLED = "sampled"
    SOUGHT = "sought"
    PROBED = "probed"
    PAUSED = "paused"
    CHOSEN = "chosen"


class Weighed(Struct, frozen=True, array_like=True):
    """An arm as a decision saw it.

    The posterior mean of its reward in joules (a reward is minus a cost), the mean's precision in joules^-2
    (None: infinite), its observations, and the reward that was drawn for it, None where none was.
    """

    batch_size: int
    mean: float
    precision: float | None
    num_observations: int
    sample: float | None


class Rationale(Struct, frozen=True, omit_defaults=True):
    """Why a batch size was chosen: in which stage, by which rule.

    Of the walk the ``round``, from 1; of the bandit, and of what is the best so far there, the ``arms``,
    ascending by batch size. Of what is probed, in joules: what it is expected to save each training from then
    on, ``saving``, and what it is expected to cost to find out, ``price``.
    """

    stage: Stage
    rule: Rule
    round: int | None = None
    arms: tuple[Weighed, ...] = ()
    saving: float | None = None
    price: float | None = None


def weighed(arms: Sequence[Arm], samples: NDArray[np.float64] | None = None) -> tuple[Weighed, ...]:
    """Return arms as a decision sees them, in their order; a sample is NaN where none was drawn."""
    drawn = [math.nan] * len(arms) if samples is None else samples.tolist()
    return tuple(
        Weighed(
            arm.batch_size,
            arm.param_mean,
            None if math.isinf(arm.param_precision) else arm.param_precision,
            arm.num_observations,
            None if math.isnan(sample) else sample,
        )
        for arm, sample in zip(arms, drawn, strict=True)
    )
