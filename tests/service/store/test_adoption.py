"""Adopting a database that the reference wrote: everything kept, times in UTC, all or nothing."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.records import Job, Stage, Trial, TrialStatus, TrialType
from core.streams import seeded
from service.engine.batch import run_batch
from service.engine.commands import Suggest
from service.errors import OpeningError
from service.store import adoption, reading, revision
from service.store.opening import parsed
from service.store.sqlite import SQLiteDatabase

Serve = Callable[[Path], AbstractContextManager[SQLiteDatabase]]
UrlOf = Callable[[Path], str]
Contents = Callable[[Path], list[str]]
Rows = list[tuple[object, ...]]

TIMES = ("start_timestamp", "end_timestamp")


def ask(file: Path, question: str) -> Rows:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()


def change(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def rows_of_the_reference(file: Path) -> dict[str, Rows]:
    """Return all rows of the reference's tables in its own columns, times and streams aside."""
    found = {}
    for table, columns in revision.REFERENCE_COLUMNS.items():
        names = ", ".join(sorted(columns - {*TIMES, "mab_random_generator_state"}))
        found[table] = sorted(ask(file, f'SELECT {names} FROM "{table}"'), key=repr)  # noqa: S608  (our own constants)
    return found


def test_every_value_of_the_reference_is_kept(reference: Path, url_of: UrlOf) -> None:
    before = rows_of_the_reference(reference)
    assert (len(before["Job"]), len(before["Trial"])) == (15, 461)
    adoption.adopt(url_of(reference), UTC)
    assert rows_of_the_reference(reference) == before


def test_streams_go_on_and_a_job_without_one_gets_one(reference: Path, url_of: UrlOf) -> None:
    question = 'SELECT job_id, mab_random_generator_state FROM "Job" ORDER BY 1'
    before = ask(reference, question)
    adoption.adopt(url_of(reference), UTC)
    after = ask(reference, question)
    assert [new for (_, old), new in zip(before, after, strict=True) if old is not None] == [
        old for old in before if old[1] is not None
    ]
    assert [job_id for job_id, old in before if old is None] == ["resnet-live"]
    for _, state in after:
        assert isinstance(state, str)
        np.random.PCG64().state = json.loads(state)


def test_trial_numbers_go_on_from_the_highest(reference: Path, url_of: UrlOf) -> None:
    adoption.adopt(url_of(reference), UTC)
    assert ask(reference, 'SELECT job_id, last_trial_number FROM "Job" ORDER BY 1') == ask(
        reference, 'SELECT job_id, max(trial_number) FROM "Trial" GROUP BY 1 ORDER BY 1'
    )


BERLIN = [
    ("2026-01-15 12:00:00.123456", "2026-01-15T11:00:00.123456"),
    ("2026-07-15 12:00:00.000001", "2026-07-15T10:00:00.000001"),
    ("2026-07-15 01:00:00", "2026-07-14T23:00:00"),
    # The clock went from 02:00 to 03:00 on 29 March and from 03:00 back to 02:00 on 25 October.
    ("2026-03-29 01:59:59.000000", "2026-03-29T00:59:59"),
    ("2026-03-29 03:00:00.000000", "2026-03-29T01:00:00"),
    ("2026-10-25 01:59:59.000000", "2026-10-24T23:59:59"),
    ("2026-10-25 02:30:00.000000", "2026-10-25T00:30:00"),  # shown twice; the first is taken
    ("2026-10-25 03:00:00.000000", "2026-10-25T02:00:00"),
]


def utc_of(
    reference: Path, url: str, zone: ZoneInfo | None, times: list[tuple[str, str | None]]
) -> list[Trial]:
    """Give the first trials of a job these local times, adopt, and return the trials."""
    job_id = "squad-a40-s0-w0-r2"
    with closing(sqlite3.connect(reference)) as connection, connection:
        connection.executemany(
            'UPDATE "Trial" SET start_timestamp = ?, end_timestamp = ? WHERE job_id = ? AND trial_number = ?',
            [(started, ended, job_id, number) for number, (started, ended) in enumerate(times, start=1)],
        )
    adoption.adopt(url, zone)
    database = SQLiteDatabase.open(parsed(url))
    try:
        keys = [(job_id, number + 1) for number in range(len(times))]
        found = asyncio.run(database.transact(partial(reading.trials, keys=keys)))
    finally:
        asyncio.run(database.close())
    return sorted(found, key=lambda trial: trial.trial_number)


def test_times_of_a_zone_become_utc_in_winter_and_in_summer(reference: Path, url_of: UrlOf) -> None:
    times: list[tuple[str, str | None]] = [(local, local) for local, _ in BERLIN]
    trials = utc_of(reference, url_of(reference), ZoneInfo("Europe/Berlin"), times)
    expected = [datetime.fromisoformat(utc).replace(tzinfo=UTC) for _, utc in BERLIN]
    assert [trial.start_timestamp for trial in trials] == expected
    assert [trial.end_timestamp for trial in trials] == expected


def test_a_training_across_a_change_of_the_clock_took_the_time_it_took(
    reference: Path, url_of: UrlOf
) -> None:
    trials = utc_of(
        reference,
        url_of(reference),
        ZoneInfo("Europe/Berlin"),
        [
            ("2026-03-29 01:30:00.000000", "2026-03-29 03:30:00.000000"),
            ("2026-10-25 01:30:00.000000", "2026-10-25 03:30:00.000000"),
            ("2026-10-25 01:30:00.000000", None),
        ],
    )
    took = [trial.end_timestamp and trial.end_timestamp - trial.start_timestamp for trial in trials]
    assert took == [timedelta(hours=1), timedelta(hours=3), None]


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine's time zone be New York's."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
def test_without_a_zone_times_are_this_machines(reference: Path, url_of: UrlOf) -> None:
    times: list[tuple[str, str | None]] = [
        ("2026-01-15 12:00:00.000000", None),
        ("2026-07-15 12:00:00.000000", None),
    ]
    trials = utc_of(reference, url_of(reference), None, times)
    assert [trial.start_timestamp.hour for trial in trials] == [17, 16]


def test_the_backup_is_the_database_as_it_was(reference: Path, url_of: UrlOf, contents: Contents) -> None:
    before = contents(reference)
    backup = adoption.adopt(url_of(reference), UTC).backup
    assert backup is not None
    assert backup.parent == reference.parent
    assert backup.name.startswith("reference.db.backup-")
    assert contents(backup) == before


def test_the_version_table_of_the_references_site_is_left_alone(
    reference: Path, url_of: UrlOf, serve: Serve, head: str
) -> None:
    change(
        reference,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6');",
    )
    adoption.adopt(url_of(reference), UTC)
    with serve(reference):
        assert ask(reference, "SELECT * FROM alembic_version") == [("a1b2c3d4e5f6",)]
        assert ask(reference, "SELECT * FROM batchbandit_version") == [(head,)]


@pytest.mark.parametrize(
    ("obstacle", "sentence"),
    [
        # The last step of the last revision fails: a name is taken.
        ('CREATE INDEX "ix_Trial_results" ON "Trial" (energy)', "already exists"),
        ("CREATE TRIGGER t BEFORE UPDATE ON \"Trial\" BEGIN SELECT RAISE(ABORT, 'veto'); END", "veto"),
        ("UPDATE \"Trial\" SET start_timestamp = 'yesterday' WHERE trial_number = 30", "not a local time"),
        ('UPDATE "Trial" SET end_timestamp = 30 WHERE trial_number = 30', "not a local time"),
        ("UPDATE \"Trial\" SET end_timestamp = '0001-01-01 00:00:00'", "not a local time"),
    ],
)
def test_an_adoption_that_fails_midway_leaves_the_database_as_it_was(
    reference: Path, url_of: UrlOf, obstacle: str, sentence: str
) -> None:
    change(reference, obstacle)
    before = reference.read_bytes()
    with pytest.raises(OpeningError, match=sentence):
        adoption.adopt(url_of(reference), ZoneInfo("Europe/Berlin"))
    assert reference.read_bytes() == before


def test_a_second_adoption_is_refused(reference: Path, url_of: UrlOf, contents: Contents) -> None:
    adoption.adopt(url_of(reference), UTC)
    before = contents(reference)
    with pytest.raises(OpeningError, match="has been adopted already; run: batchbandit serve"):
        adoption.adopt(url_of(reference), ZoneInfo("Europe/Berlin"))
    assert contents(reference) == before
    assert len(list(reference.parent.glob("*.backup-*"))) == 1


@pytest.mark.parametrize("script", ["", 'CREATE TABLE "Customer" (id INTEGER)'])
def test_what_the_reference_did_not_write_is_refused_untouched(
    file: Path, url_of: UrlOf, script: str
) -> None:
    file.touch()
    change(file, script)
    before = file.read_bytes()
    with pytest.raises(OpeningError, match="only a database of the reference server can be adopted"):
        adoption.adopt(url_of(file), UTC)
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.backup-*"))


def test_a_missing_file_is_refused_and_not_made(file: Path, url_of: UrlOf) -> None:
    with pytest.raises(OpeningError, match="does not exist; name an existing database"):
        adoption.adopt(url_of(file), UTC)
    assert list(file.parent.iterdir()) == []


def test_a_served_database_is_not_adopted(file: Path, url_of: UrlOf, serve: Serve) -> None:
    with (
        serve(file),
        pytest.raises(OpeningError, match=rf"another batchbandit process \(pid {os.getpid()}\)"),
    ):
        adoption.adopt(url_of(file), UTC)


def test_an_adopted_database_serves_all_its_jobs(reference: Path, url_of: UrlOf, serve: Serve) -> None:
    adoption.adopt(url_of(reference), UTC)
    job_ids = [str(job_id) for (job_id,) in ask(reference, 'SELECT job_id FROM "Job"')]
    now = datetime.now(UTC)
    with serve(reference) as database:
        before = asyncio.run(database.transact(partial(reading.jobs, job_ids=job_ids)))
        suggestions = asyncio.run(
            database.transact(partial(run_batch, commands=[Suggest(job_id) for job_id in job_ids], now=now))
        ).outcomes
        after = asyncio.run(database.transact(partial(reading.jobs, job_ids=job_ids)))

    numbers = {job.job_id: job.last_trial_number for job in before}
    assert len(suggestions) == 15
    for trial in suggestions:
        assert isinstance(trial, Trial)
        assert trial.trial_number == numbers[trial.job_id] + 1
        expected = TrialType.CONCURRENT if trial.job_id == "resnet-live" else TrialType.MAB
        assert trial.type is expected
    assert {job.job_id for job in after if moved(before, job)} == set(job_ids) - {"resnet-live"}


def moved(before: list[Job], job: Job) -> bool:
    """Tell whether the job's stream has been drawn from since."""
    [then] = [other for other in before if other.job_id == job.job_id]
    return then.mab_random_generator_state != job.mab_random_generator_state


def test_the_dispatched_exploration_survives_with_a_lease_from_that_moment(
    reference: Path, url_of: UrlOf, serve: Serve
) -> None:
    begun = datetime.now(UTC)
    adoption.adopt(url_of(reference), UTC)
    ended = datetime.now(UTC)
    with serve(reference) as database:
        [job] = asyncio.run(database.transact(partial(reading.jobs, job_ids=["resnet-live"])))
        [trial] = asyncio.run(database.transact(partial(reading.trials, keys=[("resnet-live", 2)])))
    assert (job.stage, job.last_trial_number) == (Stage.PRUNING, 2)
    assert trial.lease_expires is not None
    assert begun <= trial.lease_expires - timedelta(hours=24) <= ended
    assert job.next_expiry == trial.lease_expires
    assert trial == Trial(
        job_id="resnet-live",
        batch_size=32,
        trial_number=2,
        start_timestamp=datetime(2026, 11, 24, 2, 6, 17, 190588, tzinfo=UTC),
        type=TrialType.EXPLORATION,
        status=TrialStatus.DISPATCHED,
        lease_expires=trial.lease_expires,
    )


@pytest.mark.parametrize("text", ["'null'", "'{}'", "'not JSON'", "x'00'", "NULL"])
def test_a_stream_that_the_reference_lost_starts_again_from_its_seed(
    reference: Path, url_of: UrlOf, text: str
) -> None:
    change(reference, f"UPDATE Job SET mab_random_generator_state = {text}, mab_seed = 7")  # noqa: S608  (above)
    adoption.adopt(url_of(reference), UTC)
    assert {state for (state,) in ask(reference, "SELECT mab_random_generator_state FROM Job")} == {seeded(7)}


def test_a_bound_that_an_unconverged_trial_had_sunk_is_lifted(reference: Path, url_of: UrlOf) -> None:
    ((job_id, number, cost),) = ask(
        reference,
        "SELECT Job.job_id, max(trial_number), min_cost FROM Job JOIN Trial USING (job_id) "
        "WHERE converged GROUP BY Job.job_id HAVING count(*) > 10 ORDER BY 1 LIMIT 1",
    )
    change(
        reference,
        f"UPDATE Trial SET time = 1, energy = 1, converged = 0 "  # noqa: S608  (of the file itself)
        f"WHERE job_id = '{job_id}' AND trial_number = {number};"
        f"UPDATE Job SET min_cost = 0.5 WHERE job_id = '{job_id}';"
        "UPDATE Trial SET converged = 0 WHERE job_id = (SELECT max(job_id) FROM Job)",
    )
    adoption.adopt(url_of(reference), UTC)
    ((lifted,),) = ask(reference, f"SELECT min_cost FROM Job WHERE job_id = '{job_id}'")  # noqa: S608  (the same)
    assert isinstance(cost, float)
    assert isinstance(lifted, float)
    assert lifted >= cost
    ((none, size, default),) = ask(
        reference,
        "SELECT min_cost, min_cost_batch_size, default_batch_size FROM Job "
        "WHERE job_id = (SELECT max(job_id) FROM Job)",
    )
    assert none is None
    assert size == default


@pytest.mark.parametrize("poison", ["energy = 9e999", "time = 0, energy = 0", "energy = 1e200", "time = -1"])
def test_results_that_poison_a_job_become_failures_and_the_job_goes_on(
    reference: Path, url_of: UrlOf, serve: Serve, poison: str
) -> None:
    ((job_id, size, seen),) = ask(
        reference,
        "SELECT job_id, batch_size, num_observations FROM GaussianTsArmState "
        "JOIN Job USING (job_id) WHERE num_observations > 3 AND window_size = 0 ORDER BY 1, 2 LIMIT 1",
    )
    change(
        reference,
        f"UPDATE Trial SET {poison}, converged = 1 WHERE job_id = '{job_id}' "  # noqa: S608  (of the file itself)
        f"AND trial_number = (SELECT min(trial_number) FROM Trial WHERE job_id = '{job_id}' "
        f"AND batch_size = {size} AND status = 'Succeeded');"
        f"UPDATE Job SET min_cost = 0 WHERE job_id = '{job_id}'",
    )
    assert adoption.adopt(url_of(reference), UTC).failed_trials == 1
    ((now, mean),) = ask(
        reference,
        "SELECT num_observations, param_mean FROM GaussianTsArmState "  # noqa: S608  (of the file itself)
        f"WHERE job_id = '{job_id}' AND batch_size = {size}",
    )
    assert isinstance(seen, int)
    assert now == seen - 1
    rewards = [
        -(0.5 * e + 0.5 * power * t)  # type: ignore[operator]
        for e, t, power in ask(
            reference,
            "SELECT energy, time, max_power FROM Trial JOIN Job USING (job_id) "  # noqa: S608  (the same)
            f"WHERE job_id = '{job_id}' AND batch_size = {size} AND status = 'Succeeded'",
        )
    ]
    assert mean == pytest.approx(np.mean(rewards))
    ((lowest,),) = ask(reference, f"SELECT min_cost FROM Job WHERE job_id = '{job_id}'")  # noqa: S608  (the same)
    assert isinstance(lowest, float)
    assert lowest > 1
    with serve(reference) as database:
        (trial,) = asyncio.run(
            database.transact(partial(run_batch, commands=[Suggest(str(job_id))], now=datetime.now(UTC)))
        ).outcomes
        assert isinstance(trial, Trial)


@pytest.mark.parametrize(
    ("oddity", "said"),
    [
        ("stage = 'Foo'", "cannot be read .*stage"),
        ("mab_seed = -4, mab_random_generator_state = '{}'", "mab_seed is -4"),
    ],
)
def test_a_job_that_cannot_be_read_is_named_and_nothing_is_adopted(
    reference: Path, url_of: UrlOf, contents: Contents, oddity: str, said: str
) -> None:
    change(reference, f"UPDATE Job SET {oddity}")  # noqa: S608  (above)
    before = contents(reference)
    with pytest.raises(OpeningError, match=said):
        adoption.adopt(url_of(reference), UTC)
    assert contents(reference) == before


def test_an_arm_that_an_infinite_result_had_spoilt_is_refitted(reference: Path, url_of: UrlOf) -> None:
    change(reference, "UPDATE GaussianTsArmState SET param_mean = -9e999, num_observations = 1")
    adoption.adopt(url_of(reference), UTC)
    assert ask(reference, "SELECT count(*) FROM GaussianTsArmState WHERE param_mean < -1e300") == [(0,)]
