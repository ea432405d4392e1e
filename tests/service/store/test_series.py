"""The trials of a job as its charts need them, from either database, in a constant number of statements."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, event

from core import streams
from core.records import Job, Stage, TrialType
from service.dashboard import job as page
from service.store import writing
from service.store.series import MOST_CELLS, MOST_SINGLE, Series, series_of
from service.store.writing import NewTrial
from tests.service.dashboard import histories
from tests.service.dashboard.histories import History, specification, trial_of
from tests.service.store.conftest import Transaction

SIZES = [8, 16, 32]
ENDINGS = ["converged", "converged", "unconverged", "failed", "converged", "running"]


def history_of(num_trials: int, first: int = 1, sizes: list[int] = SIZES) -> History:
    """Return a history that has a bit of everything."""
    terms = specification(sizes, sizes[0], eta=0.3)
    types = list(TrialType)
    trials = (
        trial_of(
            number,
            sizes[number * number % len(sizes)],
            ENDINGS[number % len(ENDINGS)],
            types[number * 3 // (first + num_trials) % 3],
            (100.0 + number % 13 / 7, 2_000.0 + number % 17 / 3),
        )
        for number in range(first, first + num_trials)
    )
    return History(terms, tuple(trials))


def write(connection: Connection, history: History) -> None:
    """Write a job that has this history."""
    terms = {name: value for name, value in asdict(history.terms).items() if name != "batch_sizes"}
    job = Job(
        **terms,
        mab_random_generator_state=streams.seeded(1),
        exp_default_batch_size=history.terms.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=history.terms.default_batch_size,
        last_trial_number=max((trial.trial_number for trial in history.trials), default=0),
    )
    writing.insert_jobs(connection, [(job, history.terms.batch_sizes)])
    if history.trials:
        writing.insert_trials(connection, [NewTrial(trial) for trial in history.trials])


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    """Count the statements of a connection."""
    seen: list[str] = []

    def see(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(connection, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", see)


def same(found: Series, expected: Series) -> None:
    """See that two series are the same, but for how sums are rounded."""
    assert replace(found, cells=()) == replace(expected, cells=())
    by = {
        (cell.bin, cell.batch_size, cell.type, cell.status, cell.converged): cell for cell in expected.cells
    }
    assert len(found.cells) == len(by)
    for cell in found.cells:
        other = by[cell.bin, cell.batch_size, cell.type, cell.status, cell.converged]
        assert cell == replace(other, cost=pytest.approx(other.cost))


@pytest.mark.parametrize("first", [1, 70_001])
def test_few_trials_are_each_a_cell(transaction: Transaction, first: int) -> None:
    history = history_of(200, first)
    with transaction() as connection:
        write(connection, history)
        found = series_of(connection, history.terms, len(SIZES))
    assert found.width == 1
    assert [cell.bin for cell in found.cells] == list(range(200))
    same(found, histories.series_of(history))


def test_many_trials_are_put_together_by_bin_and_kind(transaction: Transaction) -> None:
    history = history_of(MOST_SINGLE + 1, 11)
    with transaction() as connection:
        write(connection, history)
        found = series_of(connection, history.terms, len(SIZES))
    assert found.width == 7
    assert found.numbers(found.cells[-1].bin)[1] == history.trials[-1].trial_number
    same(found, histories.series_of(history, found.width))


def test_many_batch_sizes_make_fewer_bins(transaction: Transaction) -> None:
    history = history_of(MOST_SINGLE + 1, sizes=list(range(1, 501)))
    with transaction() as connection:
        write(connection, history)
        found = series_of(connection, history.terms, 500)
    assert (found.cells[-1].bin + 1) * 500 <= MOST_CELLS


def test_a_job_without_trials_has_no_cells(transaction: Transaction) -> None:
    history = history_of(0)
    with transaction() as connection:
        write(connection, history)
        assert series_of(connection, history.terms, len(SIZES)).cells == ()


def test_only_the_trials_of_the_job_are_read(transaction: Transaction) -> None:
    history = history_of(5)
    other = History(replace(history.terms, job_id="a-job-2"), ())
    with transaction() as connection:
        write(connection, history)
        write(connection, other)
        assert series_of(connection, other.terms, len(SIZES)).cells == ()


def test_a_page_takes_as_many_statements_whatever_the_history(transaction: Transaction) -> None:
    taken = []
    for num_trials in (1, 40, 2_000):
        history = history_of(num_trials)
        with transaction() as connection:
            write(connection, history)
            with counted(connection) as seen:
                found = page.read(connection, "a-job")
        taken.append(len(seen))
        assert sum(cell.num_trials for cell in found.series.cells) == num_trials
        assert page.drawn(found).figures.timeline is not None
    assert taken[0] == taken[1] == taken[2] <= 12
