"""Databases with long histories, written past the service with its own statements."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection

from core import streams
from core.history import history_of
from core.records import Arm, Job, Stage, Trial, TrialStatus, TrialType
from core.sums import MOST_REFITTED, Sums
from service.store import writing
from service.store.writing import Kept, NewTrial

BATCH_SIZES = (8, 16, 32, 64)
POWER = 200.0
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROWS_A_WRITE = 10_000


def job_of(job_id: str, stage: Stage, window: int, last_trial_number: int) -> Job:
    """Return a job that goes on for ever: in the pruning stage its exploration is still under way."""
    return Job(
        job_id=job_id,
        job_id_prefix="long",
        default_batch_size=BATCH_SIZES[0],
        higher_is_better_metric=True,
        eta_knob=0.5,
        beta_knob=None,
        target_metric=0.5,
        max_epochs=1,
        num_pruning_rounds=1,
        window_size=window,
        max_power=POWER,
        number_of_gpus=1,
        gpu_model="A40",
        mab_prior_mean=0.0,
        mab_prior_precision=0.0,
        mab_num_explorations=2,
        mab_seed=1,
        lease_seconds=600.0,
        max_failures=3,
        mab_random_generator_state=streams.seeded(1),
        exp_default_batch_size=BATCH_SIZES[0],
        stage=stage,
        min_cost=1_000.0,
        min_cost_batch_size=BATCH_SIZES[0],
        last_trial_number=last_trial_number,
    )


def trials_of(job: Job, length: int) -> Iterator[Trial]:
    """Go through so many finished trials; while a job prunes, those beside its exploration."""
    prunes = job.stage is Stage.PRUNING
    for number in range(1, length + 1):
        seconds = 100.0 + number % 11
        yield Trial(
            job_id=job.job_id,
            batch_size=BATCH_SIZES[number % len(BATCH_SIZES)],
            trial_number=number,
            start_timestamp=NOON,
            type=TrialType.CONCURRENT if prunes else TrialType.MAB,
            status=TrialStatus.SUCCEEDED,
            end_timestamp=NOON,
            time=seconds,
            energy=seconds * POWER,
            converged=True,
        )
    if prunes:
        yield Trial(
            job_id=job.job_id,
            batch_size=BATCH_SIZES[0],
            trial_number=length + 1,
            start_timestamp=NOON,
            type=TrialType.EXPLORATION,
            status=TrialStatus.DISPATCHED,
        )


def write(connection: Connection, job: Job, length: int) -> None:
    """Write a job with so many finished trials, its arms and their sums."""
    writing.insert_jobs(connection, [(job, BATCH_SIZES)])
    trials = list(trials_of(job, length))
    for start in range(0, len(trials), ROWS_A_WRITE):
        writing.insert_trials(connection, [NewTrial(trial) for trial in trials[start : start + ROWS_A_WRITE]])
    if job.stage is Stage.PRUNING:
        return
    for size in BATCH_SIZES:
        results = history_of(trial for trial in trials if trial.batch_size == size)
        arm = Arm(
            job_id=job.job_id,
            batch_size=size,
            param_mean=-21_000.0,
            param_precision=1e-6 * len(results),
            reward_precision=1e-6,
            num_observations=min(len(results), job.window_size or len(results)),
        )
        writing.insert_arms(connection, [arm])
        kept = results[-job.window_size :]  # the last 0 are all
        if len(kept) <= MOST_REFITTED:
            writing.keep_histories(connection, [Kept(job.job_id, size, kept, is_new=True)])
        if job.window_size == 0 and len(results) > MOST_REFITTED:
            writing.replace_sums(connection, [Sums(job.job_id, size).plus(results)])
