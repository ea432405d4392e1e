"""Making a job sound that another server has kept: one whose measurements were never refused."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from core.cost import cost_of, reported_cost
from core.decisions import fit
from core.errors import CostOutOfRange
from core.kernels import stream
from core.needs import Fit
from core.records import Arm, Job, Result, Trial, TrialStatus
from core.streams import seeded
from core.zeus import rewards_of


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
    unsound = [trial for trial in trials if not _has_cost(job, trial)]
    sound = [trial for trial in trials if _has_cost(job, trial)]
    affected = {trial.batch_size for trial in unsound}
    return Mended(
        replace(_with_lowest_cost(job, sound), mab_random_generator_state=_stream_of(job, entropy)),
        tuple(
            replace(trial, status=TrialStatus.FAILED, time=None, energy=None, converged=None)
            for trial in unsound
        ),
        tuple(
            _refitted(job, arm, [_result(trial) for trial in sound if trial.batch_size == size])
            for size, arm in arms.items()
            if size in affected
        ),
    )


def _result(trial: Trial) -> Result:
    return Result(trial.trial_number, trial.time or 0.0, trial.energy or 0.0)


def _has_cost(job: Job, trial: Trial) -> bool:
    if trial.time is None or trial.energy is None or not trial.time > 0 or not trial.energy >= 0:
        return False
    try:
        reported_cost(job, trial.time, trial.energy)
    except CostOutOfRange:
        return False
    return True


def _with_lowest_cost(job: Job, trials: Sequence[Trial]) -> Job:
    lowest, batch_size = None, job.default_batch_size
    for trial in trials:
        result = _result(trial)
        cost = cost_of(job, result.time, result.energy)
        if trial.converged and (lowest is None or cost < lowest):
            lowest, batch_size = cost, trial.batch_size
    return replace(job, min_cost=lowest, min_cost_batch_size=batch_size)


def _stream_of(job: Job, entropy: int) -> str:
    try:
        stream.decode([job.mab_random_generator_state])
    except ValueError:
        return seeded(entropy if job.mab_seed is None else job.mab_seed)
    return job.mab_random_generator_state


def _refitted(job: Job, arm: Arm, results: Sequence[Result]) -> Arm:
    rewards = rewards_of(job, results[:-1], results[-1]) if results else []
    ((posterior,),) = fit([Fit(job, [rewards])])
    return replace(
        arm,
        param_mean=posterior.mean,
        param_precision=posterior.precision,
        reward_precision=posterior.reward_precision,
        num_observations=len(rewards),
    )
