"""Loading whole batches into core's records; each function is one round trip, whatever the batch."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from core.history import History
from core.needs import Costs
from core.records import Arm, Job, Trial
from core.sums import SUMMED, Double, Sums
from service.store.answer import Answer
from service.store.queries import Pairs, queries_for

R = TypeVar("R", bound=Struct)


def _rows(connection: Connection, statement: sa.Executable, parameters: dict[str, object]) -> Sequence[Any]:
    # All at once: iterating over the result would fetch the rows one by one.
    return connection.execute(statement, parameters).all()


def _records(record: type[R], rows: Sequence[Any]) -> list[R]:
    return [record(*row) for row in rows]


def jobs(connection: Connection, job_ids: Collection[str]) -> list[Job]:
    """Load the jobs of these ids that exist and, where the database locks rows, lock theirs.

    Ascending by job id, so that transactions that lock the same jobs wait for each other and never in a ring.
    """
    return timed_jobs(connection, job_ids)[0]


def timed_jobs(connection: Connection, job_ids: Collection[str]) -> tuple[list[Job], datetime | None]:
    """Load jobs as ``jobs`` does and, where there is one, the time by the database's clock, UTC.

    It is the time at which the statement began to wait for the rows, where another transaction had them.
    """
    rows = _rows(connection, queries_for(connection).jobs, {"job_ids": list(job_ids)})
    return [Job(*row[:-1]) for row in rows], rows[-1][-1] if rows else None


def any_job(connection: Connection) -> None:
    """Read from the tables, whatever is in them."""
    connection.execute(queries_for(connection).any_job).first()


def moment(connection: Connection) -> datetime:
    """Return the time by the database's clock, UTC."""
    now: datetime = connection.execute(queries_for(connection).moment).scalar_one()
    return now


def due_jobs(connection: Connection, limit: int) -> list[str]:
    """Load the ids of jobs that may have a running trial whose lease has run out."""
    rows = _rows(connection, queries_for(connection).due_jobs, {"limit": limit})
    return [job_id for (job_id,) in rows]


def oldest_answer(connection: Connection) -> tuple[datetime, datetime | None]:
    """Return the time by the database's clock and that of the oldest first answer, None without one."""
    now, oldest = connection.execute(queries_for(connection).oldest_answer).one()
    return now, oldest


def answers(connection: Connection, keys: Collection[str]) -> list[Answer]:
    """Load the first answers to calls that came with these keys."""
    return _records(Answer, _rows(connection, queries_for(connection).answers, {"keys": list(keys)}))


def last_numbers(connection: Connection, job_ids: Collection[str]) -> dict[str, int]:
    """Load the highest trial numbers of deleted jobs, by job id."""
    rows = _rows(connection, queries_for(connection).last_numbers, {"job_ids": list(job_ids)})
    return dict(rows)


def trials(connection: Connection, keys: Pairs) -> list[Trial]:
    """Load the trials of these job ids and trial numbers that exist."""
    queries = queries_for(connection)
    return _records(Trial, _rows(connection, queries.trials, queries.bound(keys)))


def succeeded(connection: Connection, job_id: str) -> list[Trial]:
    """Load all Succeeded trials of a job, ascending by trial number; not for the hot path."""
    return _records(Trial, _rows(connection, queries_for(connection).succeeded, {"job_id": job_id}))


def batch_sizes(connection: Connection, job_ids: Collection[str]) -> dict[str, list[int]]:
    """Load the batch sizes of jobs, ascending."""
    found: dict[str, list[int]] = {job_id: [] for job_id in job_ids}
    for job_id, size in _rows(connection, queries_for(connection).batch_sizes, {"job_ids": list(job_ids)}):
        found[job_id].append(size)
    return found


def arms(connection: Connection, job_ids: Collection[str]) -> dict[str, dict[int, Arm]]:
    """Load the arms of jobs by batch size, ascending."""
    found: dict[str, dict[int, Arm]] = {job_id: {} for job_id in job_ids}
    rows = _rows(connection, queries_for(connection).arms, {"job_ids": list(job_ids)})
    for arm in _records(Arm, rows):
        found[arm.job_id][arm.batch_size] = arm
    return found


def explorations(connection: Connection, job_ids: Collection[str]) -> dict[str, dict[int, Trial]]:
    """Load the explorations of jobs that have not failed by trial number, ascending."""
    found: dict[str, dict[int, Trial]] = {job_id: {} for job_id in job_ids}
    rows = _rows(connection, queries_for(connection).explorations, {"job_ids": list(job_ids)})
    for trial in _records(Trial, rows):
        found[trial.job_id][trial.trial_number] = trial
    return found


def newest_explorations(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Load the highest number of an exploration of each job id and batch size, failed ones too; else 0."""
    queries = queries_for(connection)
    newest = dict.fromkeys(keys, 0)
    for number, place in _rows(connection, queries.exploration_numbers, queries.bound(keys)):
        newest[keys[place]] = max(newest[keys[place]], number)
    return newest


def leased(connection: Connection, job_ids: Collection[str]) -> dict[str, dict[int, Trial]]:
    """Load the running trials of jobs that hold leases, by trial number."""
    found: dict[str, dict[int, Trial]] = {job_id: {} for job_id in job_ids}
    rows = _rows(connection, queries_for(connection).leased, {"job_ids": list(job_ids)})
    for trial in _records(Trial, rows):
        found[trial.job_id][trial.trial_number] = trial
    return found


def costs(connection: Connection, job: Job) -> Costs:
    """Return what the results of a job since its reset cost under its terms; not for the hot path."""
    queries = queries_for(connection)
    parameters = {
        "job_id": job.job_id,
        "reset_number": job.reset_number,
        "eta": job.eta_knob,
        "watts": (1 - job.eta_knob) * job.max_power,
    }
    lowest, highest = connection.execute(queries.cost_range, parameters).one()
    cheapest = connection.execute(queries.cheapest, parameters).first()
    return Costs(lowest, highest, None if cheapest is None else tuple(cheapest))


def histories(connection: Connection, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], History]:
    """Load the results that are kept beside arms, by job id and batch size."""
    queries = queries_for(connection)
    rows = _rows(connection, queries.histories, queries.bound(keys))
    return {keys[place]: np.frombuffer(results, dtype="<f8").reshape(-1, 3) for results, place in rows}


def results(connection: Connection, keys: Pairs, window: int) -> dict[tuple[str, int], History]:
    """Load the newest ``window`` results (0: all) of each job id and batch size from the trials."""
    queries = queries_for(connection)
    parameters = queries.bound(keys)
    statement = queries.results
    if window:
        statement, parameters["window"] = queries.newest_results, window
    cursor = connection.execute(statement, parameters).cursor  # the driver's: these rows need no conversion
    rows = np.fromiter(chain.from_iterable(cursor.fetchall()), dtype=np.float64).reshape(-1, 4)
    bounds = np.searchsorted(rows[:, 3], np.arange(len(keys) + 1)).tolist()
    return {key: rows[begin:end, :3] for key, (begin, end) in zip(keys, pairwise(bounds), strict=True)}


def sums(connection: Connection, keys: Pairs) -> dict[tuple[str, int], Sums | None]:
    """Load running sums by job id and batch size, None where there are none."""
    queries = queries_for(connection)
    found: dict[tuple[str, int], Sums | None] = dict.fromkeys(keys)
    for job_id, size, number, *parts in _rows(connection, queries.sums, queries.bound(keys)):
        doubles = dict(zip(SUMMED, map(Double, parts[::2], parts[1::2]), strict=True))
        found[job_id, size] = Sums(job_id=job_id, batch_size=size, num_results=number, **doubles)
    return found
