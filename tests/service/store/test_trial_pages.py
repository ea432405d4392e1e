"""Pages of trials, their counts and reasons: what is selected, by which index, in how many statements."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from core.cost import cost_of
from core.rationale import Rationale, Rule, Weighed
from core.records import Arm, Stage, Trial, TrialStatus, TrialType
from service.errors import InvalidRequest, JobNotFound, TrialNotFound
from service.store import trial_pages, writing
from service.store.writing import NewTrial
from service.views.decision import decision_view
from service.views.job import job_view
from service.views.shapes import TrialView
from service.views.trials import Age, TrialsQuery, lot_of, trial_view, trials_view
from tests.service.store.conftest import Play
from tests.service.store.test_job_pages import used_indexes
from tests.service.store.test_reading import JOB

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SIZES = (16, 32, 64)
JOBS = [
    replace(JOB, job_id=f"job-{number}", eta_knob=0.25, max_power=200.0, reset_number=40)
    for number in range(3)
]


def trial_of(job_id: str, number: int) -> Trial:
    """Return one of many trials, of every status and type."""
    status = (TrialStatus.DISPATCHED if number % 11 == 0 else TrialStatus.FAILED) if number % 5 == 0 else None
    is_result = status is None
    return Trial(
        job_id=job_id,
        batch_size=SIZES[number % 2],
        trial_number=number,
        start_timestamp=NOON + timedelta(seconds=number),
        type=list(TrialType)[number % 7 % 3],
        status=status or TrialStatus.SUCCEEDED,
        end_timestamp=None if status is TrialStatus.DISPATCHED else NOON + timedelta(seconds=2 * number),
        time=10.0 + number if is_result else None,
        energy=1000.0 * number if is_result else None,
        converged=number % 4 > 0 if is_result else None,
        failure_reason="OutOfMemoryError" if status is TrialStatus.FAILED else None,
        is_late=number == 8,
        energy_source="nvml" if number % 2 else None,
        epochs=number if is_result and number > 8 else None,
    )


TRIALS = [trial_of(job.job_id, number) for job in JOBS for number in range(1, 121)]
WALKED = Rationale(Stage.PRUNING, Rule.SMALLER, 2)
SAMPLED = Rationale(
    Stage.MAB,
    Rule.SAMPLED,
    arms=(Weighed(16, -1.3e6, 1.5625e-10, 4, -1.21e6), Weighed(32, -1.2e6, None, 2, -1.28e6)),
)


def reasons_of(trial: Trial) -> Rationale | None:
    return (None, WALKED, SAMPLED)[trial.trial_number % 3]


@pytest.fixture(scope="module")
def inhabited(engine: Engine, play: Play) -> Engine:
    """Return an engine on a database that holds the trials."""

    def inhabit() -> None:
        with engine.begin() as connection:
            writing.insert_jobs(connection, [(job, SIZES) for job in JOBS])
            writing.insert_trials(
                connection,
                [
                    NewTrial(trial, None if why is None else msgspec.json.encode(why).decode())
                    for trial in TRIALS
                    for why in [reasons_of(trial)]
                ],
            )
            writing.insert_arms(connection, [Arm("job-1", 32, -1.2e6, 4e-10, 1e-10, 9)])

    play(inhabit)
    return engine


def pages(connection: Connection, **query: Any) -> Iterator[Sequence[TrialView]]:  # noqa: ANN401  (of a query)
    """Go through the pages of a query on a job."""
    asked = TrialsQuery(job_id="job-1", **query)
    while True:
        page = trials_view(connection, asked)
        yield page.trials
        if page.next is None:
            return
        asked = replace(asked, cursor=page.next)


FILTERS: list[dict[str, Any]] = [
    {},
    *({"status": status} for status in TrialStatus),
    *({"type": type_} for type_ in TrialType),
    {"converged": True},
    {"converged": False},
    {"batch_size": 32},
    {"batch_size": 64},
    {"batch_size": 16, "status": TrialStatus.FAILED},
    {"converged": False, "type": TrialType.MAB, "batch_size": 16},
    {"converged": False, "status": TrialStatus.FAILED},
]


@pytest.mark.parametrize("order", Age)
@pytest.mark.parametrize("limit", [1, 9, 500])
@pytest.mark.parametrize("query", FILTERS, ids=str)
def test_pages_follow_each_other_by_number(
    connection: Connection, query: dict[str, Any], limit: int, order: Age
) -> None:
    expected = [
        trial.trial_number
        for trial in TRIALS
        if trial.job_id == "job-1" and all(getattr(trial, name) == value for name, value in query.items())
    ]
    found = list(pages(connection, **query, limit=limit, order=order))
    numbers = [trial.trial_number for page in found for trial in page]
    assert numbers == (expected[::-1] if order is Age.NEWEST else expected)
    assert len(found) == max(-(-len(expected) // limit), 1)


def test_a_trial_is_shown_as_it_is(connection: Connection) -> None:
    [page] = pages(connection, limit=500, order=Age.OLDEST)
    kept = [trial for trial in TRIALS if trial.job_id == "job-1"]
    for shown, trial in zip(page, kept, strict=True):
        for name in set(shown.__struct_fields__) - {"cost", "rule"}:
            assert getattr(shown, name) == getattr(trial, name)
        why = reasons_of(trial)
        assert shown.rule is (why and why.rule)
        has_result = trial.time is not None and trial.energy is not None
        assert shown.cost == (cost_of(JOBS[1], trial.time, trial.energy) if has_result else None)  # type: ignore[type-var]
        assert trial_view(connection, "job-1", trial.trial_number) == shown
    assert lot_of(connection, "job-1", 100, 7) == page[100:107]
    assert lot_of(connection, "job-1", 120, 7) == []
    assert lot_of(connection, "nobody's", 0, 7) == []


def test_what_is_not_there_is_not_found(connection: Connection) -> None:
    with pytest.raises(JobNotFound, match="nobody's"):
        trials_view(connection, TrialsQuery(job_id="nobody's"))
    for look in (trial_view, decision_view):
        with pytest.raises(JobNotFound, match="nobody's"):
            look(connection, "nobody's", 1)
        with pytest.raises(TrialNotFound, match=r"121.*job-1"):
            look(connection, "job-1", 121)
    with pytest.raises(JobNotFound, match="nobody's"):
        job_view(connection, "nobody's")


def test_a_cursor_of_the_other_order_is_refused(connection: Connection) -> None:
    page = trials_view(connection, TrialsQuery(job_id="job-1", limit=1))
    with pytest.raises(InvalidRequest, match="same order"):
        trials_view(connection, TrialsQuery(job_id="job-1", order=Age.OLDEST, cursor=page.next))
    for cursor in ("", "x", "WyJuZXdlc3QiLC0xXQ", "WyJuZXdlc3QiLDFlOTldCg"):
        with pytest.raises(InvalidRequest, match="cursor"):
            trials_view(connection, TrialsQuery(job_id="job-1", cursor=cursor))


def test_batch_sizes_are_counted_since_the_beginning_and_their_means_since_the_reset(
    connection: Connection,
) -> None:
    view = job_view(connection, "job-1")
    kept = [trial for trial in TRIALS if trial.job_id == "job-1"]
    for shown in view.batch_sizes:
        tried = [trial for trial in kept if trial.batch_size == shown.batch_size]
        counted = [trial for trial in tried if trial.converged and trial.trial_number > 40]
        assert shown.num_trials == len(tried)
        assert shown.num_converged == sum(bool(trial.converged) for trial in tried)
        assert shown.share == len(tried) / len(kept)
        if counted:
            assert shown.mean_time == pytest.approx(fmean(trial.time or 0 for trial in counted), rel=1e-12)
            assert shown.mean_energy == pytest.approx(
                fmean(trial.energy or 0 for trial in counted), rel=1e-12
            )
        else:
            assert (shown.mean_time, shown.mean_energy) == (None, None)
    assert [shown.num_trials for shown in view.batch_sizes] == [60, 60, 0]


def test_a_decision_is_shown_in_costs(connection: Connection) -> None:
    shown = decision_view(connection, "job-1", 2)
    assert (shown.stage, shown.rule, shown.round, shown.batch_size) == (Stage.MAB, Rule.SAMPLED, None, 16)
    assert [arm.mean_cost for arm in shown.arms] == [1.3e6, 1.2e6]
    assert [arm.deviation for arm in shown.arms] == [80_000.0, 0.0]
    assert [arm.sampled_cost for arm in shown.arms] == [1.21e6, 1.28e6]
    assert shown.sentence == (
        "Batch size 16 had the lowest sampled cost, 1.21 MJ (posterior mean 1.30 MJ ± 80.0 kJ); next came 32 "
        "with 1.28 MJ."
    )


def test_where_no_reasons_were_kept_the_decision_says_so(connection: Connection) -> None:
    shown = decision_view(connection, "job-1", 3)
    assert (shown.stage, shown.rule, shown.arms) == (None, None, [])
    assert "kept no reasons" in shown.sentence


def test_the_last_decision_is_that_of_the_newest_trial(connection: Connection) -> None:
    assert job_view(connection, "job-1").last_decision == decision_view(connection, "job-1", 120)


@pytest.mark.parametrize("look", [job_view, lambda c, j: trials_view(c, TrialsQuery(job_id=j, limit=500))])
def test_a_page_takes_as_many_statements_whatever_the_history(
    connection: Connection,
    statements: list[tuple[str, Any]],
    look: Any,  # noqa: ANN401  (a view)
) -> None:
    look(connection, "job-1")
    many = len(statements)
    writing.insert_jobs(connection, [(replace(JOBS[0], job_id="new"), SIZES)])
    statements.clear()
    look(connection, "new")
    assert len(statements) == many <= 6


SELDOM: dict[str, dict[str, Any]] = {
    "ix_Trial_failed": {"status": TrialStatus.FAILED},
    "ix_Trial_missed": {"converged": False},
    "ix_Trial_leases": {"status": TrialStatus.DISPATCHED},
    "ix_Trial_explored": {"type": TrialType.EXPLORATION},
}


@pytest.mark.parametrize("order", Age)
@pytest.mark.parametrize("index", SELDOM)
def test_what_is_seldom_is_found_by_the_index_made_for_it(
    connection: Connection, statements: list[tuple[str, Any]], index: str, order: Age
) -> None:
    trials_view(connection, TrialsQuery(job_id="job-1", **SELDOM[index], order=order))
    [_, (statement, parameters)] = statements.copy()
    assert used_indexes(connection, statement, parameters) == {index}


def test_batch_sizes_are_counted_by_the_indexes_made_for_it(
    connection: Connection, statements: list[tuple[str, Any]]
) -> None:
    trial_pages.tallies(connection, "job-1", 0)
    [(statement, parameters)] = statements.copy()
    assert used_indexes(connection, statement, parameters) == {
        "ix_Trial_results",
        "ix_Trial_missed",
        "ix_Trial_failed",
        "ix_Trial_leases",
    }


def test_a_page_of_trials_reads_no_reasons_whole(
    connection: Connection, statements: list[tuple[str, Any]]
) -> None:
    trials_view(connection, TrialsQuery(job_id="job-1"))
    selected = statements[-1][0].split("FROM")[0]
    assert selected.count("rationale") == 1
    assert "rule" in str(statements[-1])
