"""Walks and arms of the policy ``zeus`` held against the trials that they have seen."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.arms import arm_of, ordered
from core.decisions import fit
from core.finding import RESTORE, Finding
from core.history import History, history_of, rewards_of
from core.kept import Kept
from core.needs import Fit
from core.records import Arm, Job, Stage, Trial, TrialStatus, TrialType
from core.sums import Sums, deviation, posterior_of

NEXT_RESULT = "its next result refits it"

MOST_LAST = 256
"""How many of the highest numbers, and of the latest ends, are tried as the trial that ended last."""
SUMS_TOLERANCE = 1e-24
"""Relative: what sums of two floats a number, a hundred thousand times rounded, may be away."""
POSTERIOR_TOLERANCE = 1e-12
"""Relative: what an arm may be away that lives on its sums."""


def arm_findings(
    job: Job,
    trials: Sequence[Trial],
    arms: Mapping[int, Arm],
    histories: Mapping[int, History],
    sums: Mapping[int, Sums],
) -> Iterator[Finding]:
    """Go through what arms, and what is kept beside them, do not have from their trials.

    Args:
        job: The job.
        trials: Those that count in its decisions, ascending by number.
        arms: Its arms by batch size, as ``histories`` and ``sums``.
        histories: The results that are kept beside arms.
        sums: The running sums that are kept beside arms.
    """
    succeeded: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.status is TrialStatus.SUCCEEDED and trial.time is not None and trial.energy is not None:
            succeeded.setdefault(trial.batch_size, []).append(trial)
    for size, arm in arms.items():
        seen = succeeded.get(size, [])
        if size in sums:
            yield from _of_summed_arm(job, arm, history_of(seen), sums[size])
        else:
            yield from _of_fitted_arm(job, arm, seen)
    for size, kept in histories.items():
        if size not in arms or size in sums:
            yield Finding(job.job_id, size, "results are kept and no arm is fitted on them", RESTORE)
        elif not np.array_equal(kept, history_of(succeeded.get(size, []))[-max(job.window_size, 0) :]):
            remedy = 'delete its row of "ArmHistory": the next result writes it again from the trials'
            yield Finding(job.job_id, size, "the results kept beside its arm are not its trials'", remedy)
    for size in sums.keys() - arms.keys():
        yield Finding(job.job_id, size, "sums are kept and no arm lives on them", RESTORE)


def stage_findings(kept: Kept, trials: Sequence[Trial]) -> Iterator[Finding]:
    """Go through what does not fit the stage of a job, given its trials that count in its decisions."""
    job = kept.job
    exploring = [
        trial.trial_number
        for trial in trials
        if trial.type is TrialType.EXPLORATION and trial.status is TrialStatus.DISPATCHED
    ]
    if len(exploring) > 1:
        yield Finding(job.job_id, None, f"explorations {exploring} are Dispatched at a time", RESTORE)
    if job.stage is Stage.MAB:
        if not kept.arms:
            yield Finding(job.job_id, None, "is in stage MAB and has no arm", RESTORE)
        if exploring:
            yield Finding(job.job_id, None, f"is in stage MAB and explores in trial {exploring[0]}", RESTORE)
        return
    if kept.arms:
        yield Finding(job.job_id, min(kept.arms), "is in stage Pruning and has arms", RESTORE)
    drawn = [trial.trial_number for trial in trials if trial.type is TrialType.MAB]
    if drawn:
        yield Finding(job.job_id, None, f"is in stage Pruning, and trial {drawn[0]} is of the MAB", RESTORE)


def _of_summed_arm(job: Job, arm: Arm, history: History, sums: Sums) -> Iterator[Finding]:
    size = arm.batch_size
    if sums.num_results != len(history) or not deviation(sums, history) <= SUMS_TOLERANCE:
        remedy = 'delete its row of "ArmSums": the next result sums the trials again'
        what = f"its running sums are not those of its {len(history)} results"
        yield Finding(job.job_id, size, what, remedy)
    elif not _is_close(arm, arm_of(job, size, posterior_of(job, sums), sums.num_results)):
        yield Finding(job.job_id, size, "its arm is not what its running sums make", NEXT_RESULT)


def _is_close(arm: Arm, other: Arm) -> bool:
    return arm.num_observations == other.num_observations and all(
        math.isclose(getattr(arm, name), getattr(other, name), rel_tol=POSTERIOR_TOLERANCE)
        for name in ("param_mean", "param_precision", "reward_precision")
    )


def _of_fitted_arm(job: Job, arm: Arm, results: Sequence[Trial]) -> Iterator[Finding]:
    counts = set()
    for seen in _histories_seen(job, results):
        rewards = rewards_of(job, seen)
        counts.add(len(rewards))
        if len(rewards) != arm.num_observations:
            continue
        ((posterior,),) = fit([Fit(job, [rewards])])
        if arm_of(job, arm.batch_size, posterior, len(rewards)) == arm:
            return
    if arm.num_observations in counts:
        what = f"its arm is not what its {arm.num_observations} results make"
    else:
        expected = " or ".join(map(str, sorted(counts)))
        what = f"its arm counts {arm.num_observations} observations, and the trials make {expected}"
    yield Finding(job.job_id, arm.batch_size, what, NEXT_RESULT)


def _histories_seen(job: Job, results: Sequence[Trial]) -> Iterator[History]:
    """Go through what the arm of these results, ascending by number, may have been fitted on last.

    That is its explorations, in case nothing else has ended since it was born; or all of its window as they
    are, in case the job's terms have changed since; or all, as a refit orders them. Which trial ended last
    stands nowhere, and clocks step back: the ends only say what is likely.
    """
    if not any(trial.type is TrialType.MAB for trial in results):
        yield history_of([trial for trial in results if trial.type is TrialType.EXPLORATION])
    history = history_of(results)
    yield history[-max(job.window_size, 0) :]
    places = range(len(results) - 1, -1, -1)
    ends = [trial.end_timestamp or trial.start_timestamp for trial in results]
    by_end = sorted(places, key=ends.__getitem__, reverse=True)
    for place in dict.fromkeys([*by_end[:MOST_LAST], *places[:MOST_LAST]]):
        yield ordered(job, np.delete(history, place, axis=0), history[place : place + 1])
