"""What policy ``frugal`` suggests, and when it has nothing left to suggest."""

from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from core.errors import NoBatchSizeLeft, UnknownBatchSize
from core.rationale import Rule
from core.records import Failures, TrialType
from tests.core.recurring import COSTS, MakeFrugal, known, proven, recur, seen, train

ASIDE = Failures(9, "out_of_memory")
DAYS = timedelta(days=2)


def test_the_first_training_is_at_the_default(make_frugal: MakeFrugal) -> None:
    first = make_frugal(default_batch_size=64).suggest()
    assert (first.trial.batch_size, first.trial.type) == (64, TrialType.EXPLORATION)
    assert first.rationale.rule is Rule.DEFAULT


def test_beside_the_first_training_others_try_one_neighbour_on_either_side(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    asked = [ledger.suggest() for _ in range(16)]
    assert Counter(one.trial.batch_size for one in asked) == {32: 14, 16: 1, 64: 1}
    assert {one.rationale.rule for one in asked[1:]} == {Rule.SOUGHT}


def test_the_cheapest_batch_size_is_found_and_kept_to(make_frugal: MakeFrugal) -> None:
    sizes = recur(make_frugal(), COSTS, 30)
    assert sizes[:2] == [32, 64]
    assert sizes[4:] == [64] * 26


def test_a_probe_says_what_it_may_save_and_what_it_costs(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    probe = ledger.suggest()
    assert (probe.rationale.rule, probe.trial.type) == (Rule.PROBED, TrialType.EXPLORATION)
    assert probe.rationale.saving is not None
    assert probe.rationale.price is not None
    assert 30 * probe.rationale.saving > probe.rationale.price
    beside = ledger.suggest()
    assert (beside.trial.batch_size, beside.rationale.rule, beside.trial.type) == (
        32,
        Rule.SAMPLED,
        TrialType.MAB,
    )
    assert (beside.rationale.saving, beside.rationale.price) == (None, None)
    [arm] = beside.rationale.arms
    assert (arm.batch_size, arm.num_observations) == (32, 1)
    assert arm.mean == pytest.approx(-100.0, rel=0.05)
    assert arm.sample == pytest.approx(-100.0, rel=0.3)


@pytest.mark.parametrize(("beside", "probes"), [(0, 1), (7, 1), (8, 2), (15, 2), (16, 3)])
def test_there_is_a_probe_and_one_more_for_every_eight_that_run(
    make_frugal: MakeFrugal, beside: int, probes: int
) -> None:
    sizes = tuple(2**k for k in range(3, 14))
    ledger = make_frugal(sizes, default_batch_size=256)
    recur(ledger, dict.fromkeys(sizes, 100.0))
    rules = [ledger.suggest().rationale.rule for _ in range(beside + 1)]
    assert rules.count(Rule.PROBED) == probes


def test_sixteen_trainings_at_once_spread(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    running = [ledger.suggest().trial for _ in range(16)]
    for _ in range(4):
        for trial in running:
            train(ledger, trial.trial_number, COSTS[trial.batch_size])
        running = [ledger.suggest().trial for _ in range(16)]
    assert Counter(trial.batch_size for trial in running).most_common(1)[0][0] == 64
    assert set(known(ledger).running) == {trial.trial_number for trial in running}
    assert {32, 64} <= set(known(ledger).seen)
    assert ledger.findings() == []


@pytest.mark.parametrize("by", ["end", "lease"])
def test_a_probe_that_fails_makes_room_for_another(make_frugal: MakeFrugal, by: str) -> None:
    ledger = proven(make_frugal, max_failures=1000)
    for _ in range(5):
        probe = ledger.suggest()
        assert probe.rationale.rule is Rule.PROBED
        assert ledger.suggest().rationale.rule is Rule.SAMPLED
        if by == "end":
            ledger.end(probe.trial.trial_number, "out_of_memory")
        else:
            ledger.now += DAYS
            ledger.expire()
        assert probe.trial.trial_number not in known(ledger).running
    assert ledger.findings() == []


@pytest.mark.parametrize("aside", [(32,), (64,), (8, 32, 64), (8, 16, 64, 128)])
def test_what_is_set_aside_is_never_suggested(make_frugal: MakeFrugal, aside: tuple[int, ...]) -> None:
    for rounds in (0, 12):  # before anything has converged, and when 64 leads
        ledger = make_frugal()
        recur(ledger, COSTS, rounds)
        ledger.job = replace(ledger.job, failures=dict.fromkeys(aside, ASIDE))
        assert not set(recur(ledger, COSTS, 20)) & set(aside)
        ledger.job = replace(ledger.job, is_paused=True)
        assert ledger.suggest().trial.batch_size not in aside


def test_where_all_are_set_aside_it_is_said_what_to_mend(make_frugal: MakeFrugal) -> None:
    for rounds in (0, 12):
        ledger = make_frugal()
        recur(ledger, COSTS, rounds)
        ledger.job = replace(ledger.job, failures=dict.fromkeys(ledger.batch_sizes, ASIDE))
        with pytest.raises(NoBatchSizeLeft, match=r"every batch size.*out_of_memory.*/reset"):
            ledger.suggest()


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_where_nothing_converges_each_is_tried_as_often_as_is_asked_for(
    make_frugal: MakeFrugal, rounds: int
) -> None:
    ledger = make_frugal(num_pruning_rounds=rounds)
    tries = max(rounds, 1)
    tried = [ledger.run(float, metric=0.1, current_epoch=10).batch_size for _ in range(5 * tries)]
    assert tried[0] == 32
    assert Counter(tried) == dict.fromkeys(COSTS, tries)
    with pytest.raises(NoBatchSizeLeft, match=rf"in {tries} trainings.*target_metric.*max_epochs.*/reset"):
        ledger.suggest()
    ledger.reset()
    assert ledger.suggest().trial.batch_size == 32
    assert ledger.findings() == []


def test_what_converges_elsewhere_gives_nothing_up(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal(num_pruning_rounds=1)
    for size in (8, 16, 64, 128):
        trial = ledger.begin(size)
        ledger.report(trial.trial_number, metric=0.1, current_epoch=10)
    assert ledger.run(float).batch_size == 32
    assert ledger.suggest().trial.batch_size == 32


def test_where_what_has_converged_is_set_aside_the_others_are_given_up_in_time(
    make_frugal: MakeFrugal,
) -> None:
    ledger = make_frugal(num_pruning_rounds=2)
    recur(ledger, {32: 100.0}, 1)
    ledger.job = replace(ledger.job, failures={32: ASIDE})
    tried = Counter(ledger.run(float, metric=0.1, current_epoch=10).batch_size for _ in range(8))
    assert tried == {8: 2, 16: 2, 64: 2, 128: 2}
    with pytest.raises(NoBatchSizeLeft, match=r"that is left .* in 2 trainings.*32.*out_of_memory.*/reset"):
        ledger.suggest()
    ledger.job = replace(ledger.job, failures={})
    assert ledger.suggest().trial.batch_size == 32


def test_a_paused_job_gets_what_is_believed_to_be_the_best(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal(is_paused=True)
    paused = ledger.suggest()
    assert (paused.trial.batch_size, paused.rationale.rule) == (32, Rule.PAUSED)
    assert paused.trial.type is TrialType.CONCURRENT
    ledger.job = replace(ledger.job, is_paused=False)
    recur(ledger, COSTS, 12)
    ledger.job = replace(ledger.job, is_paused=True)
    before = ledger.job.mab_random_generator_state
    assert [ledger.suggest().trial.batch_size for _ in range(5)] == [64] * 5
    assert ledger.job.mab_random_generator_state == before, "nothing is drawn"


def test_only_a_sample_takes_random_numbers(make_frugal: MakeFrugal) -> None:
    ledger = proven(make_frugal)
    state = ledger.job.mab_random_generator_state
    assert ledger.suggest().rationale.rule is Rule.PROBED
    assert ledger.job.mab_random_generator_state == state
    assert ledger.suggest().rationale.rule is Rule.SAMPLED
    assert ledger.job.mab_random_generator_state != state


def test_a_training_has_chosen_its_batch_size(make_frugal: MakeFrugal) -> None:
    ledger = make_frugal()
    trial = ledger.begin(128)
    assert known(ledger).running == {1: 128}
    train(ledger, trial.trial_number, 50.0)
    assert ledger.job.min_cost_batch_size == 128
    assert known(ledger).leader is not None
    assert seen(ledger, 128).successes == 1
    with pytest.raises(UnknownBatchSize):
        ledger.begin(7)
