"""Whole batches of records, written and read back; every test's transaction is rolled back."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection

from core.records import Arm, Failures, Job, Policy, Stage, Trial, TrialStatus, TrialType
from core.sums import SUMMED, Double, Sums
from service.store import reading, writing
from service.store.writing import NewTrial

Transaction = Callable[[], AbstractContextManager[Connection]]

names = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=40)
counts = st.integers(0, 2**31 - 1)
positives = st.integers(1, 2**31 - 1)
floats = st.floats(allow_nan=False)
moments = st.datetimes(timezones=st.just(UTC))

jobs = st.builds(
    Job,
    job_id=names,
    job_id_prefix=names,
    default_batch_size=positives,
    higher_is_better_metric=st.booleans(),
    eta_knob=floats,
    beta_knob=st.none() | floats,
    target_metric=floats,
    max_epochs=positives,
    num_pruning_rounds=counts,
    window_size=st.integers(-(2**31), 2**31 - 1),
    max_power=floats,
    number_of_gpus=positives,
    gpu_model=names,
    mab_prior_mean=floats,
    mab_prior_precision=floats,
    mab_num_explorations=counts,
    mab_seed=st.none() | st.integers(0, 2**63 - 1),
    mab_random_generator_state=names,
    exp_default_batch_size=positives,
    stage=st.sampled_from(Stage),
    min_cost=st.none() | floats,
    min_cost_batch_size=positives,
    last_trial_number=counts,
    lease_seconds=st.none() | floats,
    max_failures=positives,
    failures=st.dictionaries(positives, st.builds(Failures, counts, st.none() | names), max_size=3),
    next_expiry=st.none() | moments,
    longest_gap=floats,
    reset_number=counts,
    policy=st.sampled_from(Policy),
    warm_start_from=st.none() | names,
    knowledge=st.none() | names,
    num_drifts=counts,
)
families = st.lists(
    st.tuples(jobs, st.sets(positives, min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
    unique_by=lambda family: family[0].job_id,
)


def trials_of(job_id: str, batch_size: int, number: int) -> st.SearchStrategy[Trial]:
    return st.builds(
        Trial,
        job_id=st.just(job_id),
        batch_size=st.just(batch_size),
        trial_number=st.just(number),
        start_timestamp=moments,
        type=st.sampled_from(TrialType),
        status=st.sampled_from(TrialStatus),
        end_timestamp=st.none() | moments,
        time=st.none() | floats,
        energy=st.none() | floats,
        converged=st.none() | st.booleans(),
        lease_expires=st.none() | moments,
        last_report=st.none() | moments,
        has_heartbeat=st.booleans(),
        curve=st.none() | names,
        failure_reason=st.none() | names,
        is_late=st.booleans(),
        energy_source=st.none() | names,
        epochs=st.none() | positives,
    )


def arms_of(job_id: str, batch_size: int) -> st.SearchStrategy[Arm]:
    return st.builds(
        Arm,
        job_id=st.just(job_id),
        batch_size=st.just(batch_size),
        param_mean=floats,
        param_precision=floats,
        reward_precision=floats,
        num_observations=counts,
    )


def sums_of(job_id: str, batch_size: int) -> st.SearchStrategy[Sums]:
    doubles = {name: st.builds(Double, floats, floats) for name in SUMMED}
    return st.builds(
        Sums, job_id=st.just(job_id), batch_size=st.just(batch_size), num_results=counts, **doubles
    )


def by_key(arms: Iterable[Arm]) -> dict[str, dict[int, Arm]]:
    found: dict[str, dict[int, Arm]] = {}
    for arm in sorted(arms, key=lambda arm: (arm.job_id, arm.batch_size)):
        found.setdefault(arm.job_id, {})[arm.batch_size] = arm
    return found


@settings(deadline=None, max_examples=30)
@given(families=families, changed=jobs)
def test_jobs_are_read_as_they_were_written(
    transaction: Transaction, families: list[tuple[Job, set[int]]], changed: Job
) -> None:
    with transaction() as connection:
        writing.insert_jobs(connection, families)
        ids = [job.job_id for job, _ in families]
        by_id = {job.job_id: job for job in reading.jobs(connection, [*ids, "nobody's"])}
        assert by_id == {job.job_id: job for job, _ in families}
        assert reading.batch_sizes(connection, ids) == {job.job_id: sorted(sizes) for job, sizes in families}

        moved = [
            replace(
                job,
                stage=changed.stage,
                min_cost=changed.min_cost,
                min_cost_batch_size=changed.min_cost_batch_size,
                mab_random_generator_state=changed.mab_random_generator_state,
                last_trial_number=changed.last_trial_number,
                failures=changed.failures,
                next_expiry=changed.next_expiry,
                longest_gap=changed.longest_gap,
                reset_number=changed.reset_number,
                knowledge=changed.knowledge,
                num_drifts=changed.num_drifts,
            )
            for job, _ in families
        ]
        writing.update_jobs(connection, moved[:1])
        assert reading.jobs(connection, ids[:1]) == moved[:1]
        assert all(job == by_id[job.job_id] for job in reading.jobs(connection, ids[1:]))


@settings(deadline=None, max_examples=30)
@given(families=families, data=st.data())
def test_trials_are_read_as_they_were_written(
    transaction: Transaction, families: list[tuple[Job, set[int]]], data: st.DataObject
) -> None:
    trials = [
        data.draw(trials_of(job.job_id, size, number))
        for job, sizes in families
        for number, size in enumerate(sorted(sizes), start=data.draw(st.integers(1, 2**31 - 5)))
    ]
    keys = [(trial.job_id, trial.trial_number) for trial in trials]

    def read(connection: Connection) -> list[Trial]:
        found = reading.trials(connection, [*keys, ("nobody's", 1)])
        return sorted(found, key=lambda trial: keys.index((trial.job_id, trial.trial_number)))

    with transaction() as connection:
        writing.insert_jobs(connection, families)
        writing.insert_trials(connection, [NewTrial(trial) for trial in trials])
        assert read(connection) == trials

        trial = trials[0]
        ended = data.draw(trials_of(trial.job_id, trial.batch_size, trial.trial_number))
        trials[0] = replace(ended, start_timestamp=trial.start_timestamp)
        writing.update_trials(connection, trials[:1])
        assert read(connection) == trials


@settings(deadline=None, max_examples=30)
@given(families=families, data=st.data())
def test_arms_and_sums_are_read_as_they_were_written(
    transaction: Transaction, families: list[tuple[Job, set[int]]], data: st.DataObject
) -> None:
    keys = [(job.job_id, size) for job, sizes in families for size in sizes]
    arms = [data.draw(arms_of(*key)) for key in keys]
    sums = {key: data.draw(sums_of(*key)) for key in keys}
    with transaction() as connection:
        writing.insert_jobs(connection, families)
        ids = [job.job_id for job, _ in families]
        writing.insert_arms(connection, arms)
        assert reading.arms(connection, ids) == by_key(arms)
        arms[0] = data.draw(arms_of(*keys[0]))
        writing.update_arms(connection, arms[:1])
        assert reading.arms(connection, ids) == by_key(arms)

        assert reading.sums(connection, keys) == dict.fromkeys(keys)
        for _ in range(2):
            writing.replace_sums(connection, list(sums.values()))
            assert reading.sums(connection, keys) == sums
            sums[keys[0]] = data.draw(sums_of(*keys[0]))
