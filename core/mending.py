"""Making a job sound that another server has kept: one whose measurements were never refused."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from core.arms import arm_of, ordered
from core.cost import LARGEST_QUANTITY, reported_cost
from core.decisions import fit
from core.errors import CostOutOfRange
from core.history import history_of, rewards_of
from core.kernels import stream
from core.lowest import with_cost
from core.needs import Fit
from core.records import Arm, Job, Trial, TrialStatus
from core.streams import seeded


class Mended(Struct, frozen=True):
    """A sound job, and the trials and arms that had to change for it."""

    job: Job
    trials: tuple[Trial, ...]
    arms: tuple[Arm, ...]


def mend(job: Job, trials: Sequence[Trial], arms: Mapping[int, Arm], entropy: int) -> Mended:
    """Return a job that this service could have made of its trials.

    A result whose cost is not a cost makes its trial Failed, and its arm is refitted on the others. The
    lowest cost becomes that of a converged trial. A stream that cannot be read starts again, from the job's
    seed, or from ``entropy`` where it has none.

    Args:
        job: The job as it was kept.
        trials: Its Succeeded trials, ascending by trial number.
        arms: Its arms by batch size.
        entropy: Bits from the operating system.
    """
    sound: dict[int, list[Trial]] = {batch_size: [] for batch_size in arms}
    unsound: list[Trial] = []
    job = replace(job, min_cost=None, min_cost_batch_size=job.default_batch_size)
    for trial in trials:
        if is_sound(job, trial):
            sound.setdefault(trial.batch_size, []).append(trial)
            job = with_cost(job, trial)
        else:
            unsound.append(trial)
    affected = {trial.batch_size for trial in unsound}
    affected.update(size for size, arm in arms.items() if not math.isfinite(arm.param_mean))
    return Mended(
        replace(job, mab_random_generator_state=_stream_of(job, entropy)),
        tuple(
            replace(trial, status=TrialStatus.FAILED, time=None, energy=None, converged=None)
            for trial in unsound
        ),
        tuple(_refitted(job, size, sound[size]) for size in arms if size in affected),
    )


def is_measured(trial: Trial) -> bool:
    """Tell whether a trial has a time and an energy that can be."""
    if trial.time is None or trial.energy is None:
        return False
    return 0 < trial.time <= LARGEST_QUANTITY and 0 <= trial.energy <= LARGEST_QUANTITY


def is_sound(job: Job, trial: Trial) -> bool:
    """Tell whether this service would have taken what a trial measured."""
    try:
        reported_cost(job, trial.time or 0, trial.energy or 0)
    except CostOutOfRange:
        return False
    return is_measured(trial)


def _stream_of(job: Job, entropy: int) -> str:
    try:
        stream.decode([job.mab_random_generator_state])
    except (ValueError, TypeError):
        return seeded(entropy if job.mab_seed is None else job.mab_seed)
    return job.mab_random_generator_state


def _refitted(job: Job, batch_size: int, trials: Sequence[Trial]) -> Arm:
    history = history_of(trials)
    rewards = rewards_of(job, ordered(job, history[:-1], history[-1:]))
    ((posterior,),) = fit([Fit(job, [rewards])])
    return arm_of(job, batch_size, posterior, len(rewards))
