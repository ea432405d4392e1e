"""A store of many jobs, written past the service in bulk: what pages are measured on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from benchmarks.histories import BATCH_SIZES, NOON, POWER, ROWS_A_WRITE, job_of
from core import savings
from core.lowest import with_cost
from core.rationale import Rationale, Rule, weighed
from core.records import Arm, Failures, Job, Stage, Trial, TrialStatus, TrialType
from service.store import revision, schema, writing
from service.store.writing import NewTrial

LONG = "long"
"""The name of the job that has most trials."""
KINDS = 20
"""Of jobs: what a job is goes by its number modulo this."""
STUCK, PAUSED, FAILING = 1, 5, 6
WALKING = range(1, 5)
TRIED = 2
"""Trials of a job that still prunes."""
EXPLORATIONS = 2 * len(BATCH_SIZES)


class Multitude(Struct, frozen=True):
    """How many jobs of how many trials each, beside one long job."""

    jobs: int
    trials: int
    long_trials: int

    def names(self) -> list[str]:
        """Return the names of the jobs, the long one aside."""
        return [f"team-{number % 50}-job-{number}" for number in range(self.jobs)]


def write(connection: Connection, size: Multitude) -> None:
    """Create the tables and fill them, trials in the order in which jobs that take turns would have them."""
    revision.upgrade(connection)
    jobs = {name: _job(name) for name in [*size.names(), LONG]}
    writing.insert_jobs(connection, [(job, BATCH_SIZES) for job in jobs.values()])
    writing.insert_arms(connection, [arm for job in jobs.values() for arm in _arms(job)])
    trials = _ended(jobs, size)
    while lot := list(islice(trials, ROWS_A_WRITE)):
        _insert(connection, lot)
    writing.update_jobs(connection, list(jobs.values()))
    if connection.dialect.name == "postgresql":  # as its own daemon would, soon
        connection.exec_driver_sql("ANALYZE")


def kind_of(job_id: str) -> int:
    """Return which of twenty kinds a job is of."""
    number = job_id.rpartition("-")[2]
    return int(number) % KINDS if number.isdigit() else 0


def _job(name: str) -> Job:
    """Return a job: of twenty, four prune, of which one is stuck; one is paused, two fail."""
    kind = kind_of(name)
    seen = {FAILING: {64: Failures(9, "OutOfMemoryError")}, FAILING + 1: {32: Failures(3, None)}}
    return replace(
        job_of(name, Stage.PRUNING if kind in WALKING else Stage.MAB, 0, 0),
        min_cost=None,
        num_pruning_rounds=2,
        is_paused=kind == PAUSED,
        failures=seen.get(kind, {}),
    )


def _arms(job: Job) -> list[Arm]:
    if job.stage is Stage.PRUNING:
        return []
    return [
        Arm(job.job_id, size, -20_000.0 - 500.0 * place, 1e-6 * (place + 1), 1e-7, 10 + place)
        for place, size in enumerate(BATCH_SIZES)
    ]


def _in_turn(jobs: dict[str, Job], size: Multitude) -> Iterator[tuple[int, str]]:
    """Go through the trials that jobs dispatch, each its number and its job's name."""
    share = size.long_trials // size.trials
    for turn in range(1, size.trials + 1):
        for name, job in jobs.items():
            if name == LONG:
                yield from ((number, LONG) for number in range((turn - 1) * share + 1, turn * share + 1))
            elif job.stage is Stage.MAB or turn <= TRIED:
                yield turn, name


def _ended(jobs: dict[str, Job], size: Multitude) -> Iterator[NewTrial]:
    """Go through the trials as they end, while their jobs count them; every fifth job's last one runs."""
    for clock, (number, name) in enumerate(_in_turn(jobs, size)):
        now = NOON + timedelta(seconds=clock)
        begun = _begun(jobs[name], number, now)
        job = replace(jobs[name], last_trial_number=number, last_activity=now)
        if number == size.trials and kind_of(name) % 5 == 0:
            jobs[name] = job
            yield NewTrial(begun, _why(job, begun))
            continue
        trial = _end_of(begun, now + timedelta(seconds=100))
        jobs[name] = with_cost(savings.counted(job, begun, trial, now), trial)
        yield NewTrial(trial, _why(job, trial))


def _begun(job: Job, number: int, now: datetime) -> Trial:
    is_exploration = job.stage is Stage.PRUNING or number <= EXPLORATIONS
    return Trial(
        job_id=job.job_id,
        batch_size=BATCH_SIZES[(number - 1) % len(BATCH_SIZES)],
        trial_number=number,
        start_timestamp=now,
        type=TrialType.EXPLORATION if is_exploration else TrialType.MAB,
        status=TrialStatus.DISPATCHED,
    )


def _end_of(trial: Trial, now: datetime) -> Trial:
    """Return how a trial ends: of a hundred three fail and as many do not converge, of a stuck job all."""
    number = trial.trial_number
    if trial.type is not TrialType.EXPLORATION and number % 37 == 0:
        return replace(trial, status=TrialStatus.FAILED, end_timestamp=now, failure_reason="OutOfMemoryError")
    time = 90.0 + (7 * number + len(trial.job_id)) % 23
    return replace(
        trial,
        status=TrialStatus.SUCCEEDED,
        end_timestamp=now,
        time=time,
        energy=time * POWER * (1 + trial.batch_size / 200),
        converged=kind_of(trial.job_id) != STUCK and number % 29 > 0,
        energy_source="nvml",
    )


def _why(job: Job, trial: Trial) -> str:
    if trial.type is TrialType.EXPLORATION:
        why = Rationale(Stage.PRUNING, Rule.LARGER, 1 + (trial.trial_number > len(BATCH_SIZES)))
    else:
        samples = np.linspace(-21_000.0, -20_000.0, len(BATCH_SIZES))
        why = Rationale(Stage.MAB, Rule.SAMPLED, arms=weighed(_arms(job), samples))
    return msgspec.json.encode(why).decode()


def _insert(connection: Connection, trials: list[NewTrial]) -> None:
    """Insert trials; into Postgres by COPY, which is many times as fast."""
    if connection.dialect.name == "sqlite":
        writing.insert_trials(connection, trials)
        return
    names = [column.name for column in schema.trial.columns]
    rows = [
        tuple(one.rationale if name == "rationale" else _plain(getattr(one.trial, name)) for name in names)
        for one in trials
    ]
    driver: Any = connection.connection.driver_connection
    await_only(driver.copy_records_to_table("Trial", records=rows, columns=names))


def _plain(value: object) -> object:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
