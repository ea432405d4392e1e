"""Pages of jobs: every order, every filter, cursors, statements, indexes."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from core.failures import is_set_aside
from core.policies.knowledge import Knowledge, Seen, write
from core.records import Arm, Failures, Job, Policy, Stage, Trial, TrialStatus, TrialType
from core.savings import savings_of
from service.errors import InvalidRequest
from service.store import job_pages, reading, writing
from service.store.writing import NewTrial
from service.views import jobs as listing
from service.views.jobs import JobsQuery, Sort, jobs_view
from service.views.shapes import Activity, JobSummary, JobsView, Trouble
from tests.service.store.conftest import Play
from tests.service.store.plans import plan_of
from tests.service.store.test_reading import JOB

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SIZES = (16, 32, 64)
DRAW = random.Random(6)
ALL_ARMS_ASIDE = 31
"""Of a job that prunes nothing, and has a batch size left."""
GIVEN_UP = 23
"""A job that prunes nothing, none of whose batch sizes has converged."""
IN_VAIN, PROVEN = Seen(failures=2.0), Seen(successes=1.0)


def drawn(number: int) -> Job:
    """Return a job, one of many that are often equal in what they are put in order by."""
    converged, default = DRAW.randrange(4), DRAW.randrange(2)
    is_frugal = number % 4 == 3
    is_proven = is_frugal and number % 3 > 0 and number != GIVEN_UP
    thirds = [DRAW.choice((0, 2, 3, 9)) for _ in SIZES] if number % 3 == 0 else [9] * (3 * (number % 7 == 0))
    if number == ALL_ARMS_ASIDE:
        thirds = [9, 9]
    return replace(
        JOB,
        job_id=f"{DRAW.choice(('a', 'a/b', 'B', 'ä%'))}-{number}",
        stage=Stage.MAB if DRAW.choice(list(Stage)) is Stage.MAB or is_frugal else Stage.PRUNING,
        num_pruning_rounds=2,
        is_paused=number % 5 == 0,
        failures={
            size: Failures(count, "OutOfMemoryError")
            for size, count in zip(SIZES, thirds, strict=False)
            if count
        },
        num_converged=converged,
        num_unconverged=max(DRAW.randrange(3), number == GIVEN_UP),
        num_failed=DRAW.randrange(2),
        spent_time=100.0 * DRAW.randrange(3),
        spent_energy=1000.0 * DRAW.randrange(3),
        num_default=default,
        default_time=100.0 * default,
        default_energy=700.0 * default,
        last_activity=DRAW.choice((None, NOON, NOON + timedelta(microseconds=number % 3))),
        last_trial_number=3,
        policy=Policy.FRUGAL if is_frugal else Policy.ZEUS,
        min_cost=1.0 if is_proven else None,
        knowledge=write(
            Knowledge(
                SIZES,
                dict.fromkeys(SIZES, PROVEN if is_proven else IN_VAIN)
                if is_proven or number == GIVEN_UP
                else {},
            )
        ),
    )


JOBS = [drawn(number) for number in range(60)]


def trials_of(job: Job) -> list[Trial]:
    """Return explorations of a job, of which the walk goes on, waits, or ends without a survivor."""
    outcome = int(job.job_id.rpartition("-")[2]) % 4
    statuses = [TrialStatus.SUCCEEDED] * 2 + [TrialStatus.DISPATCHED] * (outcome == 0)
    return [
        Trial(
            job_id=job.job_id,
            batch_size=SIZES[place + 1 if place < 2 else 0],
            trial_number=place + 1,
            start_timestamp=NOON,
            type=TrialType.EXPLORATION,
            status=status,
            time=1.0,
            energy=1.0,
            converged=None if status is TrialStatus.DISPATCHED else place < outcome - 1,
        )
        for place, status in enumerate(statuses)
    ]


TRIALS = [trial for job in JOBS for trial in trials_of(job)]
ARMS = [
    Arm(job.job_id, size, -float(size), 1.0, 1.0, 2)
    for job in JOBS
    if job.stage is Stage.MAB
    for size in SIZES[:2]
]


@pytest.fixture(scope="module")
def inhabited(engine: Engine, play: Play) -> Engine:
    """Return an engine on a database that holds the jobs."""

    def inhabit() -> None:
        with engine.begin() as connection:
            writing.insert_jobs(connection, [(job, SIZES) for job in JOBS])
            writing.insert_trials(connection, [NewTrial(trial) for trial in TRIALS])
            writing.insert_arms(connection, ARMS)

    play(inhabit)
    return engine


def pages(connection: Connection, **query: Any) -> Iterator[JobsView]:  # noqa: ANN401  (members of a query)
    """Go through the pages of a query."""
    asked = JobsQuery(**query)
    while True:
        page = jobs_view(connection, asked)
        yield page
        if page.next is None:
            return
        asked = replace(asked, cursor=page.next)


def names(connection: Connection, **query: Any) -> list[str]:  # noqa: ANN401
    """Return the names of all jobs of a query."""
    return [job.job_id for page in pages(connection, **query) for job in page.jobs]


def saved_cost(job: Job) -> float | None:
    saved = savings_of(job)
    return None if saved is None else saved.cost


KEYS: dict[str, Callable[[Job], Any]] = {
    "last_activity": lambda job: job.last_activity,
    "savings": saved_cost,
    "trials": lambda job: job.num_converged + job.num_unconverged + job.num_failed,
}


def in_order(sort: Sort) -> list[str]:
    """Return the names of all jobs in an order: those without its key last, equal ones by name."""
    name, is_descending = sort.removeprefix("-"), sort.startswith("-")
    by_name = sorted(JOBS, key=lambda job: job.job_id)
    if name == "job_id":
        return [job.job_id for job in (reversed(by_name) if is_descending else by_name)]
    key = KEYS[name]
    with_key = sorted(
        (job for job in by_name if key(job) is not None), key=key, reverse=is_descending
    )  # either way those that are equal stay in their order
    return [job.job_id for job in [*with_key, *(job for job in by_name if key(job) is None)]]


@pytest.mark.parametrize("limit", [1, 7, 60, 500])
@pytest.mark.parametrize("sort", Sort)
def test_pages_follow_each_other_in_every_order(connection: Connection, sort: Sort, limit: int) -> None:
    found = list(pages(connection, sort=sort, limit=limit))
    assert [job.job_id for page in found for job in page.jobs] == in_order(sort)
    assert [len(page.jobs) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert len(found) == -(-len(JOBS) // limit)


def trouble_of(job: JobSummary) -> Trouble | None:
    return None if job.problem is None else job.problem.trouble


def summaries(connection: Connection) -> dict[str, JobSummary]:
    return {job.job_id: job for job in jobs_view(connection, JobsQuery(limit=500)).jobs}


def running_of(job_id: str) -> int:
    return sum(trial.job_id == job_id and trial.status is TrialStatus.DISPATCHED for trial in TRIALS)


def test_a_job_in_the_list_is_as_it_is(connection: Connection) -> None:
    found = summaries(connection)
    for job in JOBS:
        summary = found[job.job_id]
        assert summary.num_running == running_of(job.job_id)
        assert (summary.num_converged, summary.num_failed) == (job.num_converged, job.num_failed)
        assert (summary.savings, summary.last_activity) == (savings_of(job), job.last_activity)
        expected = (
            Activity.PAUSED if job.is_paused else Activity.RUNNING if summary.num_running else Activity.IDLE
        )
        assert summary.activity is expected
        usable = [size for size in SIZES[:2] if not is_set_aside(job, size)]
        best = usable[0] if usable and job.stage is Stage.MAB else None
        if job.policy is Policy.FRUGAL and job.min_cost is None:
            best = None
        assert summary.best_batch_size == best


@pytest.mark.parametrize("limit", [2, 500])
@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({"prefix": "a"}, lambda job: job.job_id.startswith("a")),
        ({"prefix": "a/b-"}, lambda job: job.job_id.startswith("a/b-")),
        ({"prefix": "ä%"}, lambda job: job.job_id.startswith("ä%")),
        ({"prefix": "b"}, lambda _: False),  # case matters
        ({"reach": "a", "prefix": "a/"}, lambda job: job.job_id.startswith("a/")),
        ({"reach": "a/", "prefix": "a"}, lambda job: job.job_id.startswith("a/")),
        ({"reach": "a", "prefix": "B"}, lambda _: False),
        ({"stage": Stage.MAB}, lambda job: job.stage is Stage.MAB),
        ({"stage": Stage.PRUNING}, lambda job: job.stage is Stage.PRUNING),
        *(({"policy": policy}, lambda job, p=policy: job.policy is p) for policy in Policy),
        *(({"activity": activity}, lambda job, a=activity: job.activity is a) for activity in Activity),
        *(
            (
                {"trouble": trouble},
                lambda job, t=trouble: job.problem is not None and job.problem.trouble is t,
            )
            for trouble in Trouble
        ),
        (
            {"stage": Stage.PRUNING, "trouble": Trouble.STUCK, "activity": Activity.IDLE},
            lambda job: (
                (job.stage, job.activity) == (Stage.PRUNING, Activity.IDLE)
                and job.problem is not None
                and job.problem.trouble is Trouble.STUCK
            ),
        ),
    ],
)
def test_a_filter_leaves_in_what_it_says(
    connection: Connection, query: dict[str, Any], holds: Callable[[JobSummary], bool], limit: int
) -> None:
    every = summaries(connection)
    for sort in (Sort.JOB_ID, Sort.SAVINGS_LAST):
        expected = [name for name in in_order(sort) if holds(every[name])]
        assert names(connection, **query, sort=sort, limit=limit) == expected


def test_a_job_that_prunes_nothing_is_stuck_when_all_its_batch_sizes_are_set_aside(
    connection: Connection,
) -> None:
    found = summaries(connection)
    for job in (job for job in JOBS if job.policy is Policy.FRUGAL):
        is_stuck = job is JOBS[GIVEN_UP] or all(is_set_aside(job, size) for size in SIZES)
        assert (trouble_of(found[job.job_id]) is Trouble.STUCK) == is_stuck
    named = names(connection, trouble=Trouble.STUCK, policy=Policy.FRUGAL)
    assert named == [name for name in in_order(Sort.JOB_ID) if name in named]
    assert named


def test_the_jobs_are_of_every_kind(connection: Connection) -> None:
    found = summaries(connection).values()
    troubles = {(job.stage, trouble_of(job)) for job in found}
    assert troubles == {(stage, trouble) for stage in Stage for trouble in (None, *Trouble)}
    assert {job.activity for job in found} == set(Activity)


def test_where_few_of_many_are_in_trouble_a_page_ends_and_the_next_goes_on(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = names(connection, trouble=Trouble.STUCK)
    monkeypatch.setattr(listing, "LOT", 2)
    monkeypatch.setattr(listing, "MOST_LOOKS", 1)
    found = list(pages(connection, trouble=Trouble.STUCK, limit=2))
    assert [job.job_id for page in found for job in page.jobs] == whole
    assert any(len(page.jobs) < 2 for page in found[:-1])


def test_jobs_that_come_and_go_shift_nothing(connection: Connection) -> None:
    order = in_order(Sort.JOB_ID)
    first = jobs_view(connection, JobsQuery(limit=20))
    writing.insert_jobs(connection, [(replace(JOB, job_id=" before all"), SIZES)])
    writing.delete_jobs(connection, dict.fromkeys((order[3], order[19], order[25]), 3))
    rest = names(connection, cursor=first.next, limit=7)
    assert rest == [name for name in order[20:] if name != order[25]]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "!", "ä", "e30", "W10", "WzFd", "bnVsbA", "WyJqb2JfaWQiLG51bGwsMV0", "A" * 4000, "Wy1dCg=="],
)
def test_a_cursor_that_is_none_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        jobs_view(connection, JobsQuery(cursor=cursor))


def test_a_cursor_of_another_order_is_refused(connection: Connection) -> None:
    cursors = {sort: jobs_view(connection, JobsQuery(sort=sort, limit=1)).next for sort in Sort}
    for sort in Sort:
        for other, cursor in cursors.items():
            if sort is other:
                jobs_view(connection, JobsQuery(sort=sort, cursor=cursor))
            else:
                with pytest.raises(InvalidRequest, match="same order"):
                    jobs_view(connection, JobsQuery(sort=sort, cursor=cursor))


@pytest.mark.parametrize("query", [{}, {"trouble": Trouble.STUCK}, {"activity": Activity.RUNNING}])
@pytest.mark.parametrize("sort", Sort)
def test_a_page_takes_as_many_statements_however_long_it_is(
    connection: Connection, statements: list[tuple[str, Any]], sort: Sort, query: dict[str, Any]
) -> None:
    counts = set()
    for limit in (20, 500):
        statements.clear()
        jobs_view(connection, JobsQuery(sort=sort, limit=limit, **query))
        counts.add(len(statements))
    assert len(counts) == 1
    assert counts.pop() <= 5


def test_no_random_stream_is_read(connection: Connection, statements: list[tuple[str, Any]]) -> None:
    jobs_view(connection, JobsQuery(limit=500, trouble=Trouble.FAILING))
    job_pages.job(connection, JOBS[0].job_id)
    assert "mab_random_generator_state" not in " ".join(statement for statement, _ in statements)


def used_indexes(connection: Connection, statement: str, parameters: Any) -> set[str]:  # noqa: ANN401
    """Return the indexes by which a statement finds its rows."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")
        words = (step.split(" INDEX ") for step in plan)
        return {found[1].split()[0] for found in words if len(found) > 1}
    return {node["Index Name"] for node in plan_of(connection, statement, parameters) if "Index Name" in node}


def test_running_jobs_are_found_by_the_index_of_running_trials(
    connection: Connection, statements: list[tuple[str, Any]]
) -> None:
    jobs_view(connection, JobsQuery(activity=Activity.RUNNING))
    for statement, parameters in statements.copy():
        if "Dispatched" in statement:
            assert "ix_Trial_leases" in used_indexes(connection, statement, parameters), statement


def test_stuck_jobs_are_found_by_the_index_of_explorations(
    connection: Connection, statements: list[tuple[str, Any]]
) -> None:
    jobs_view(connection, JobsQuery(trouble=Trouble.STUCK))
    [(statement, parameters), *_] = statements.copy()
    assert "ix_Trial_explorations" in used_indexes(connection, statement, parameters)


def test_explorations_of_before_the_reset_are_none_of_the_walks(connection: Connection) -> None:
    stuck = next(
        job
        for job in JOBS
        if job.stage is Stage.PRUNING
        and not job.failures
        and job.num_unconverged
        and summaries(connection)[job.job_id].problem
    )
    writing.update_jobs(connection, [replace(stuck, reset_number=3)])
    assert reading.jobs(connection, [stuck.job_id])[0].reset_number == 3
    assert summaries(connection)[stuck.job_id].problem is None
    assert stuck.job_id not in names(connection, trouble=Trouble.STUCK)
