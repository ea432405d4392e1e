"""What policy ``frugal`` knows of a job after all that may happen to its trials."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from core.errors import KnowledgeUnreadable, NoBatchSizeLeft
from core.kernels.frugality import MOST_SIZES, SUSPECTS
from core.policies.knowledge import Inherited, Knowledge, Leader, Seen, Suspect, considered, read, write
from core.rationale import Rule
from core.records import Failures
from core.streams import seeded
from tests.core.recurring import COSTS, EPOCHS, MakeFrugal, known, proven, recur, seen, train

ASIDE = Failures(9, "out_of_memory")
DAYS = timedelta(days=2)


def test_what_is_old_fades_and_all_of_it_is_counted(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal((32,))
    for number in range(300):
        ledger.run(lambda _: 100.0 + number % 7)  # noqa: B023  (it is called at once)
    [row] = known(ledger).seen.values()
    assert [row.successes, row.runs] == pytest.approx([50, 50])
    assert row.results == ledger.arms[32].num_observations == 300
    assert ledger.arms[32].param_mean == pytest.approx(-103.0, rel=0.02)
    assert row.energy / row.runs == pytest.approx(103.0, rel=0.02)
    assert ledger.findings() == []


def test_a_drift_is_noticed_once_and_what_was_known_is_forgotten(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    recur(ledger, COSTS, 20)
    drifts = []
    for _ in range(10):
        trial = ledger.suggest().trial
        reported = ledger.report(trial.trial_number, energy=3 * COSTS[trial.batch_size], current_epoch=EPOCHS)
        drifts += [(number, reported) for number in [trial.trial_number] if reported.drift is not None]
    [(number, reported)] = drifts
    assert reported.drift is not None
    assert reported.drift.batch_size == 64
    assert reported.drift.expected == pytest.approx(80.0, rel=0.2)
    assert reported.drift.seen == 240.0
    assert ledger.trials[number].drifted_from == reported.drift.expected
    assert ledger.job.num_drifts == 1
    assert ledger.findings() == []


def test_after_a_drift_the_results_that_count_are_those_that_show_it(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal((32, 64))
    for size in (32, 64):
        for _ in range(5):
            train(ledger, ledger.begin(size).trial_number, 100.0)
    suspects = [Suspect(size, EPOCHS, 1.0, 300.0, 0, None) for size in (32, *[64] * (SUSPECTS - 1))]
    text = write(replace(known(ledger), watched=(5.9, 0.0), suspects=suspects))
    ledger.job = replace(ledger.job, knowledge=text)
    reported = ledger.report(ledger.begin(64).trial_number, energy=300.0, current_epoch=EPOCHS)
    assert reported.drift is not None
    assert [(row.results, row.runs) for row in known(ledger).seen.values()] == [(0, 0), (SUSPECTS, SUSPECTS)]


def test_what_cannot_be_read_is_told_and_a_job_starts_over_from_it(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    running = ledger.suggest().trial.trial_number
    ledger.job = replace(ledger.job, knowledge='{"batch_sizes":[8')
    for call in (ledger.suggest, lambda: ledger.report(running), lambda: ledger.change(eta_knob=0.1)):
        with pytest.raises(KnowledgeUnreadable, match="start over, knowing nothing: POST /api/v1/jobs/"):
            call()
    ledger.reset()
    assert known(ledger) == Knowledge(tuple(ledger.batch_sizes))
    ledger.report(running)
    assert ledger.suggest().rationale.rule is Rule.DEFAULT
    assert ledger.findings() == []


@pytest.mark.parametrize("sizes", [65, 200, 1000])
def test_more_batch_sizes_than_are_considered_at_a_time(make_frugal: MakeFrugal, sizes: int) -> None:
    batch_sizes = tuple(range(100, 100 + sizes))
    ledger = make_frugal(batch_sizes, default_batch_size=100 + sizes // 2)
    assert recur(ledger, dict.fromkeys(batch_sizes, 100.0))[0] == 100 + sizes // 2
    for size in batch_sizes[:: sizes // 60]:  # more than are considered have shown something
        for _ in range(5):
            train(ledger, ledger.begin(size).trial_number, float(size))
    assert set(recur(ledger, {size: float(size) for size in batch_sizes}, 20)) <= set(batch_sizes)
    leader = known(ledger).leader
    assert leader is not None
    assert leader.batch_size < batch_sizes[sizes // 10]
    assert ledger.findings() == []


def test_a_change_of_eta_costs_all_anew_however_many_were_tried(make_frugal: MakeFrugal) -> None:
    batch_sizes = tuple(range(100, 300))
    ledger = make_frugal(batch_sizes, default_batch_size=200)
    for size in batch_sizes[::2]:
        train(ledger, ledger.begin(size).trial_number, 100.0)
    before = {size: arm.param_mean for size, arm in ledger.arms.items()}
    ledger.change(eta_knob=0.5)
    assert len(before) == 100
    times = [ledger.arms[size].param_mean / before[size] for size in before]
    assert times == pytest.approx([times[0]] * 100, rel=0.1)
    assert not 0.9 < times[0] < 1.1
    assert ledger.findings() == []


def test_of_many_batch_sizes_the_past_stays_known_whatever_is_learnt_after_a_drift(
    make_frugal: MakeFrugal,
) -> None:
    batch_sizes = tuple(range(100, 300))
    ledger = make_frugal(batch_sizes, default_batch_size=200)
    for size in batch_sizes[::2] * 5:
        train(ledger, ledger.begin(size).trial_number, 100.0)
    while ledger.job.num_drifts == 0:
        train(ledger, ledger.begin(298).trial_number, 190.0)
    before = known(ledger).before
    assert {200, 298} <= before.keys()
    assert len(before) > 40
    for size in (101, 103, 296):
        train(ledger, ledger.begin(size).trial_number, 190.0)
    assert known(ledger).before == before
    considered_now = considered(known(ledger), (), batch_sizes)
    assert len(before.keys() & considered_now) >= 37
    assert ledger.findings() == []


def test_of_many_batch_sizes_those_are_considered_that_can_be_chosen(make_frugal: MakeFrugal) -> None:
    batch_sizes = tuple(range(1, 301))
    ledger = make_frugal(batch_sizes, default_batch_size=150)
    for left in (range(299, 301), range(150, 152)):
        aside = dict.fromkeys(set(batch_sizes) - set(left), ASIDE)
        ledger.job = replace(ledger.job, failures=aside)
        assert ledger.suggest().trial.batch_size in left
    ledger.job = replace(ledger.job, failures={}, num_pruning_rounds=1)
    tried = [ledger.run(float, metric=0.1, current_epoch=10).batch_size for _ in batch_sizes]
    assert sorted(tried) == list(batch_sizes)
    with pytest.raises(NoBatchSizeLeft):
        ledger.suggest()


def test_no_more_batch_sizes_are_considered_than_the_kernel_takes() -> None:
    sizes = tuple(range(1, 301))
    tried = {size: Seen(successes=5.0, runs=5.0, results=5) for size in range(1, 100)}
    of = Knowledge(sizes, seen=tried)
    needed = (150, 151, *range(200, 200 + SUSPECTS))
    for usable in (sizes, sizes[-1:], sizes[:100], ()):
        chosen = considered(of, needed, usable)
        assert len(chosen) <= MOST_SIZES
        assert {*needed, *usable[-1:]} <= set(chosen)


def test_a_single_batch_size_is_all_there_is(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal((64,))
    assert recur(ledger, COSTS, 10) == [64] * 10
    hopeless = make_frugal((64,))
    for _ in range(2):
        hopeless.run(float, metric=0.1, current_epoch=10)
    with pytest.raises(NoBatchSizeLeft):
        hopeless.suggest()


def test_a_late_result_is_learnt_once(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    trial = ledger.suggest().trial
    ledger.now += DAYS
    ledger.expire()
    assert known(ledger).running == {}
    late = ledger.report(trial.trial_number, metric=0.1)
    assert "late" in late.verdict.message
    assert known(ledger).running == {}
    for _ in range(3):
        assert ledger.report(trial.trial_number).verdict.converged
        assert (seen(ledger, 32).results, seen(ledger, 32).runs, known(ledger).running) == (1, 1, {})
    assert ledger.trials[trial.trial_number].is_late
    assert ledger.findings() == []


def test_trials_of_before_a_reset_do_not_count(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    running = [ledger.suggest().trial.trial_number for _ in range(3)]
    ledger.reset()
    empty = ledger.job.knowledge
    assert known(ledger) == Knowledge(tuple(ledger.batch_sizes))
    ledger.report(running[0], metric=0.1)
    ledger.report(running[0])
    ledger.end(running[1])
    ledger.now += DAYS
    ledger.expire()
    ledger.report(running[2])
    assert ledger.job.knowledge == empty
    assert ledger.job.min_cost is None
    assert ledger.suggest().rationale.rule is Rule.DEFAULT
    assert ledger.findings() == []


def test_of_very_many_trainings_that_run_the_newest_are_known(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    for _ in range(300):
        ledger.suggest()
    assert [*known(ledger).running] == list(range(46, 302))
    ledger.end(2)
    train(ledger, 3, 100.0)
    assert [*known(ledger).running] == list(range(46, 302))
    assert ledger.findings() == []


def close(make_frugal: MakeFrugal, seed: int) -> list[int]:
    """Return what a job chooses between batch sizes that cost about the same."""
    ledger = make_frugal((32, 64), mab_seed=seed, mab_random_generator_state=seeded(seed))
    return recur(ledger, {32: 100.0, 64: 99.0}, 30)


def test_the_same_seed_and_the_same_reports_give_the_same_decisions(make_frugal: MakeFrugal) -> None:
    assert close(make_frugal, 1) == close(make_frugal, 1)
    assert len({tuple(close(make_frugal, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("knowledge", "said"),
    [
        (None, "cannot be read"),
        ('{"batch_sizes":[8,16', "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"batch_sizes":[8,16]}', "other batch sizes"),
        ({"running": {99: 8}}, "trial 99 is believed to run"),
        ({"running": {4: 8}}, "trial 4 is believed to run"),
        ({"seen": {}}, "it has an arm and nothing is known of it"),
        ({"seen": {8: Seen(results=2), 32: Seen(results=9)}}, "9 results are known"),
        ({"leader": None}, "nothing is said to be the best"),
        ({"leader": Leader(8, 100.0)}, "8 is said to be the best"),
        ({"curves": {7: [(1, 0.5)]}}, "other batch sizes"),
        ({"inherited": {7: Inherited(1.0, 1.0, 1.0, 1.0)}}, "other batch sizes"),
        ({"before": {7: Inherited(1.0, 1.0, 1.0, 1.0)}}, "other batch sizes"),
        ({"suspects": [Suspect(7, 1.0, 1.0, 1.0, 0, None)]}, "other batch sizes"),
        ({"suspects": [Suspect(8, 1.0, 1.0, 1.0, 0, None)] * 17}, "makes no costs"),
        ({"seen": {32: Seen(1.0, 0.0, runs=1.0, run_epochs=0.0, results=1)}}, "makes no costs"),
    ],
)
def test_knowledge_that_its_trials_have_not_shown_is_found(
    make_frugal: MakeFrugal, knowledge: str | dict[str, object] | None, said: str
) -> None:
    ledger = proven(make_frugal)
    recur(ledger, COSTS, 2)
    ledger.suggest()
    assert ledger.findings() == []
    if isinstance(knowledge, dict):
        knowledge = write(replace(known(ledger), **knowledge))
    ledger.job = replace(ledger.job, knowledge=knowledge)
    assert any(said in finding for finding in ledger.findings()), ledger.findings()


def test_knowledge_is_read_as_it_was_written(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    recur(ledger, COSTS, 20)
    text = ledger.job.knowledge or ""
    assert write(read(text)) == text
