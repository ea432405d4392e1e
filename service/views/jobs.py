"""Jobs as a list: pages by key, filtered and in an order."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Connection

from core import policies
from core.pruning import prunes
from core.records import Arm, Job, Policy, Stage, Trial
from core.savings import savings_of
from service.store import job_pages, reading
from service.store.job_pages import Chosen, Order, Place
from service.views.cursors import converted, cursor_of, foreign, place_of
from service.views.problems import may_be_at_a_dead_end, problem_of
from service.views.shapes import Activity, JobSummary, JobsView, Trouble

MOST_LOOKS = 4
"""How many lots of jobs are looked through for some that are in trouble, before a page is as it is."""
LOT = 200


class Sort(StrEnum):
    """An order of jobs: by name, when they last did something, what they saved, how many trials have ended.

    With the hyphen the last come first; jobs that have no such key come last in either case.
    """

    JOB_ID = "job_id"
    JOB_ID_LAST = "-job_id"
    LAST_ACTIVITY = "last_activity"
    LAST_ACTIVITY_LAST = "-last_activity"
    SAVINGS = "savings"
    SAVINGS_LAST = "-savings"
    TRIALS = "trials"
    TRIALS_LAST = "-trials"

    def order(self) -> Order:
        """Return it as the store has it."""
        return Order(self.value.removeprefix("-"), is_descending=self.value.startswith("-"))


class JobsQuery(Struct, frozen=True, kw_only=True):
    """Which page of jobs is wanted; what is None leaves all in.

    ``reach`` is what the names of all jobs begin with that may be shown, ``prefix`` what is asked for.
    ``cursor`` is the ``next`` of the page before.
    """

    reach: str = ""
    prefix: str = ""
    stage: Stage | None = None
    policy: Policy | None = None
    activity: Activity | None = None
    trouble: Trouble | None = None
    sort: Sort = Sort.JOB_ID
    limit: int = 50
    cursor: str | None = None


class _Cursor(Struct, frozen=True, array_like=True):
    sort: Sort
    key: str | float | int | None
    job_id: Annotated[str, Meta(min_length=1, max_length=400, pattern=r"^[^\x00]*$")]


_KEYS: dict[str, Any] = {
    "job_id": None,
    "last_activity": Annotated[datetime, Meta(tz=True)] | None,
    "savings": float | None,
    "trials": Annotated[int, Meta(ge=0, le=2**31 - 1)],
}


def jobs_view(connection: Connection, query: JobsQuery) -> JobsView:
    """Return a page of jobs, by a number of statements that does not depend on how many there are.

    A page may be shorter than its limit, and empty, where jobs in trouble are looked for among many that may
    be: ``next`` goes on.

    Raises:
        InvalidRequest: The cursor is not one of this order.
    """
    after = _place_of(query)
    if not (query.prefix.startswith(query.reach) or query.reach.startswith(query.prefix)):
        return JobsView([], None)
    chosen, order = _chosen(query), query.sort.order()
    found: list[JobSummary] = []
    lot = query.limit if query.trouble is None else max(query.limit, LOT)
    for _ in range(1 if query.trouble is None else MOST_LOOKS):
        rows = job_pages.jobs(connection, chosen, order, after, lot + 1)
        looked_at = rows[:lot]
        summaries = summaries_of(connection, [job for job, _ in looked_at])
        for index, (summary, (_, after)) in enumerate(zip(summaries, looked_at, strict=True), start=1):
            if query.trouble is None or (summary.problem and summary.problem.trouble is query.trouble):
                found.append(summary)
            if len(found) == query.limit and index < len(rows):
                return JobsView(found, _cursor_of(query.sort, after))
        if len(rows) <= lot:
            return JobsView(found, None)
    return JobsView(found, None if after is None else _cursor_of(query.sort, after))


def _cursor_of(sort: Sort, place: Place) -> str:
    return cursor_of(_Cursor(sort, place.key, place.job_id))  # type: ignore[arg-type]  # times become texts


def _place_of(query: JobsQuery) -> Place | None:
    if query.cursor is None:
        return None
    cursor = place_of(query.cursor, _Cursor)
    if cursor.sort is not query.sort:
        raise foreign()
    return Place(converted(cursor.key, _KEYS[query.sort.order().key]), cursor.job_id)


def _chosen(query: JobsQuery) -> Chosen:
    activity = query.activity
    return Chosen(
        prefix=max(query.prefix, query.reach, key=len),
        stage=query.stage,
        policy=query.policy,
        is_paused=None if activity is None else activity is Activity.PAUSED,
        is_running=None if activity in {None, Activity.PAUSED} else activity is Activity.RUNNING,
        may_be_stuck=query.trouble is Trouble.STUCK,
        has_failures=query.trouble is Trouble.FAILING,
    )


def summaries_of(connection: Connection, jobs: Collection[Job]) -> list[JobSummary]:
    """Return jobs as they stand in a list, in their order."""
    job_ids = [job.job_id for job in jobs]
    in_bandit = [job.job_id for job in jobs if job.stage is Stage.MAB]
    doubtful = [job for job in jobs if may_be_at_a_dead_end(job)]
    walking = [job for job in doubtful if job.stage is Stage.PRUNING]
    choosing = [job.job_id for job in doubtful if job.stage is Stage.PRUNING or not prunes(job)]
    running = job_pages.running(connection, job_ids) if job_ids else {}
    arms = reading.arms(connection, in_bandit) if in_bandit else {}
    sizes = reading.batch_sizes(connection, choosing) if choosing else {}
    explored = explorations_of(connection, walking)
    return [
        summary_of(
            job,
            running.get(job.job_id, 0),
            arms.get(job.job_id, {}),
            sizes.get(job.job_id, ()),
            explored.get(job.job_id, {}),
        )
        for job in jobs
    ]


def explorations_of(connection: Connection, jobs: Collection[Job]) -> dict[str, dict[int, list[Trial]]]:
    """Load the explorations of jobs as ``core.pruning.walk`` takes them, by job id."""
    grouped: dict[str, dict[int, list[Trial]]] = {job.job_id: {} for job in jobs}
    if grouped:
        found = reading.explorations(connection, grouped)
        for job in jobs:
            for number, trial in found[job.job_id].items():
                if number > job.reset_number:
                    grouped[job.job_id].setdefault(trial.batch_size, []).append(trial)
    return grouped


def summary_of(
    job: Job,
    num_running: int,
    arms: Mapping[int, Arm],
    batch_sizes: Sequence[int],
    explorations: Mapping[int, Sequence[Trial]],
) -> JobSummary:
    """Return a job as it stands in a list.

    Args:
        job: The job.
        num_running: Its trials that run.
        arms: In the bandit, by batch size.
        batch_sizes: Ascending; not asked for in the bandit of a job that has pruned.
        explorations: As ``core.pruning.walk`` takes them, in the pruning stage.
    """
    chosen_from = [*arms] if job.stage is Stage.MAB and prunes(job) else batch_sizes
    activity = Activity.PAUSED if job.is_paused else Activity.RUNNING if num_running else Activity.IDLE
    return JobSummary(
        job_id=job.job_id,
        policy=job.policy,
        stage=job.stage,
        activity=activity,
        problem=problem_of(job, chosen_from, explorations),
        default_batch_size=job.default_batch_size,
        best_batch_size=best_batch_size(job, arms),
        num_running=num_running,
        num_converged=job.num_converged,
        num_unconverged=job.num_unconverged,
        num_failed=job.num_failed,
        last_activity=job.last_activity,
        savings=savings_of(job),
    )


def best_batch_size(job: Job, arms: Mapping[int, Arm]) -> int | None:
    """Return the batch size of the lowest posterior mean cost, while pruning of the lowest cost so far.

    None where there is no cost yet. An arm that is set aside, which is chosen no more, is not the best one,
    nor, of a job that prunes nothing, one that has not converged.
    """
    if job.stage is Stage.PRUNING:
        return None if job.min_cost is None else job.min_cost_batch_size
    known = policies.of(job).proven(job, arms.values())
    return max(known, key=lambda arm: arm.param_mean).batch_size if known else None
