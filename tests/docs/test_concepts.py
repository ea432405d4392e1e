"""What the concepts work out is what the code gives."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
from msgspec.structs import replace

from core.cost import cost_of
from core.failures import failed, is_set_aside
from core.kernels import posterior
from core.kernels.twins import frugality, results
from core.kernels.twins.beliefs import (
    DRIFT_LEVEL,
    DRIFT_ROUGH,
    DRIFT_SLOPE,
    EPOCHS,
    NOISE_WEIGHT,
    RATE,
    SOFTNESS,
)
from core.leases import GAPS, SILENT_SECONDS
from core.odds import interval, probabilities_best
from core.pruning import Explore, Survivors, walk
from core.rationale import Rule
from core.records import Arm, Job, Report, Stage, Trial, TrialStatus, TrialType
from core.savings import Savings, counted, savings_of
from core.verdict import judge
from service.web.wire import DEFAULTS, JobBody
from tests.docs.blocks import text_of

CONCEPTS = " ".join(text_of("docs/concepts.md").split())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BATCH_SIZES = (32, 64, 128, 256, 512)
POWER = 200.0
"""Watts that the job of the page takes, of the 300 that it may."""
ROUNDS = (
    {
        32: (484_000, False),
        64: (240_000, True),
        128: (250_000, True),
        256: (230_000, True),
        512: (300_000, False),
    },
    {64: (248_000, True), 128: (256_000, True), 256: (242_000, True)},
)
"""By round and batch size, the cost of a training in joules, and whether it converged."""


@pytest.fixture
def job() -> Job:
    """Return the job that runs through the page."""
    body = JobBody(
        job_id="it",
        job_id_prefix="it",
        batch_sizes=list(BATCH_SIZES),
        default_batch_size=128,
        max_power=300.0,
        number_of_gpus=1,
        gpu_model="V100",
    )
    terms = body.specification("it")
    members = {name: getattr(terms, name) for name in terms.__struct_fields__ if name != "batch_sizes"}
    return Job(
        **members,
        mab_random_generator_state="",
        exp_default_batch_size=128,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=128,
        last_trial_number=0,
    )


def trial_of(number: int, batch_size: int, cost: float, *, converged: bool) -> Trial:
    """Return a trial of a cost at the job's power."""
    time = cost / (0.5 * POWER + 0.5 * 300.0)
    return Trial(
        "it",
        batch_size,
        number,
        NOW,
        TrialType.EXPLORATION,
        TrialStatus.SUCCEEDED,
        time=time,
        energy=POWER * time,
        converged=converged,
    )


def explored(job: Job) -> tuple[list[int], dict[int, list[Trial]]]:
    """Walk through the pruning stage; return the batch sizes in the order of the walk, and their trials."""
    order: list[int] = []
    seen: dict[int, list[Trial]] = {}
    while isinstance(step := walk(job, BATCH_SIZES, seen), Explore):
        cost, converged = ROUNDS[step.round - 1][step.batch_size]
        order.append(step.batch_size)
        seen.setdefault(step.batch_size, []).append(
            trial_of(len(order), step.batch_size, cost, converged=converged)
        )
    assert step == Survivors((64, 128, 256))
    return order, seen


def thousands(number: float) -> str:
    """Return a number as the page writes it."""
    return f"{number:,.0f}"


def test_the_job_of_the_page_is_that_of_the_test(job: Job) -> None:
    assert "32, 64, 128, 256 and 512, the default is 128, `eta_knob` is 0.5, `beta_knob` 2" in CONCEPTS
    assert (job.eta_knob, job.beta_knob, job.num_pruning_rounds, job.max_power) == (0.5, 2.0, 2, 300.0)


def test_the_cost(job: Job) -> None:
    cost = cost_of(job, 1000.0, 200_000.0)
    assert (
        f"1,000 s that took 200,000 J costs 0.5 · 200,000 + 0.5 · 300 · 1,000 = {thousands(cost)} J"
        in CONCEPTS
    )


def test_the_early_stop(job: Job) -> None:
    known = replace(job, min_cost=230_000.0)
    assert "converged at 230,000 J, a training is stopped when it has cost more than 460,000 J" in CONCEPTS
    for cost, is_stopped in ((460_000.0, False), (460_001.0, True)):
        time = cost / 250
        said = Report("it", 64, 1, time=time, energy=POWER * time, metric=0.0, current_epoch=1)
        assert judge(known, said).stop_train is is_stopped


def test_the_walk(job: Job) -> None:
    order, _ = explored(job)
    first, second = (", ".join(map(str, part)) for part in (order[:5], order[5:]))
    assert f"the first round goes {first}, and the second one {second}:" in CONCEPTS
    table = CONCEPTS.split("| first round | second round |")[1]
    for size in BATCH_SIZES:
        row = re.search(rf"\| {size} \|([^|]*)\|([^|]*)\|", table)
        assert row is not None
        for told, tried in zip(row.groups(), ROUNDS, strict=True):
            assert (size in tried) is bool(told.strip())
            if size in tried:
                assert f"{thousands(tried[size][0])} J" in told
                assert told.strip().startswith("converged") is tried[size][1]


def test_the_posteriors(job: Job) -> None:
    _, seen = explored(job)
    arms = []
    for size in (64, 128, 256):
        rewards = -np.array([cost_of(job, trial.time or 0, trial.energy or 0) for trial in seen[size]])
        fitted = posterior.fit(rewards, np.array([0, 2]), np.zeros(1), np.zeros(1))
        mean, precision, reward_precision = (float(column[0]) for column in fitted)
        assert mean == pytest.approx(rewards.mean())
        assert precision == pytest.approx(2 / rewards.var())
        arms.append(Arm("it", size, mean, precision, reward_precision, 2))
    for arm, chance in zip(arms, probabilities_best(arms), strict=True):
        bounds = interval(-arm.param_mean, arm.param_precision)
        assert bounds is not None
        low, high = map(thousands, bounds)
        likely, deviation = thousands(-arm.param_mean), thousands(arm.param_precision**-0.5)
        told = f"| {arm.batch_size} | {likely} | {deviation} | {low} … {high} | {100 * chance:.1f} % |"
        assert told in CONCEPTS


def test_the_posterior_with_a_prior() -> None:
    rewards, prior_mean, prior_precision = np.array([-3.0, -5.0, -1.0]), -10.0, 0.25
    mean, precision, _ = posterior.fit(
        rewards, np.array([0, 3]), np.array([prior_mean]), np.array([prior_precision])
    )
    rho = 1 / ((rewards - rewards.mean()) ** 2).mean()
    assert precision[0] == pytest.approx(prior_precision + 3 * rho)
    assert mean[0] == pytest.approx((prior_precision * prior_mean + rho * rewards.sum()) / precision[0])


def test_the_savings(job: Job) -> None:
    _, seen = explored(job)
    for trials in seen.values():
        for trial in trials:
            job = counted(job, replace(trial, status=TrialStatus.DISPATCHED), trial, NOW)
    young = savings_of(job)
    assert young is not None
    assert (
        f"took {thousands(job.spent_time)} s and {thousands(job.spent_energy)} J, and six of them" in CONCEPTS
    )
    assert job.num_converged == 6
    usual = f"takes {thousands(young.default_time)} s and {thousands(young.default_energy)} J on average"
    whole = (
        f"six times that {thousands(6 * young.default_time)} s and {thousands(6 * young.default_energy)} J"
    )
    assert f"{usual}, {whole}" in CONCEPTS
    assert f"So far {thousands(young.time)} s and {thousands(young.energy)} J were saved" in CONCEPTS
    for number in range(9, 109):
        trial = trial_of(number, 256, 236_000, converged=True)
        job = counted(job, replace(trial, status=TrialStatus.DISPATCHED), trial, NOW)
    assert f"of {thousands(trial.time or 0)} s and {thousands(trial.energy or 0)} J each" in CONCEPTS
    assert told(savings_of(job)) in CONCEPTS


def told(saved: Savings | None) -> str:
    """Return the end of the page's sentence on savings."""
    assert saved is not None
    cost = f"{thousands(saved.cost)} J of cost, which is {saved.share:.1%} of it".replace("%", " %")
    return f"{thousands(saved.time)} s and {thousands(saved.energy)} J are saved, and {cost}"


def test_what_frugal_believes_beforehand() -> None:
    smooth = "{0.slope:g} ± {0.slope_deviation:g} | {0.smooth:g} over {0.octaves:g} | {0.rough:g} |"
    for name, trend in (("joules of cost an epoch, $\\log r$", RATE), ("epochs, $\\log n$", EPOCHS)):
        assert f"| {name} | {smooth.format(trend)}".replace("-", "−") in CONCEPTS
    assert f"whose scale is taken to be alike within {EPOCHS.offset:g}" in CONCEPTS
    assert (NOISE_WEIGHT, frugality.BESIDE) == (4, 8)
    assert "a prior that weighs as much as four results" in CONCEPTS
    assert "another one for every eight trainings that run" in CONCEPTS


@pytest.mark.parametrize(
    "sentence",
    [
        f"Of more than {results.MEMORY:g} results of a batch size the older ones fade",
        f"at most {frugality.LEAST_PRICE:g} of that one, or an epoch",
        f"the largest ${frugality.HORIZON:g} s$ less its price",
        f"$\\ell$ and ${frugality.HORIZON:g} s$ together",
        f"for {results.PAUSE:g} trials, then {2 * results.PAUSE:g}, and so on",
        f"at {frugality.SAMPLE_WIDTH:g} of the width of its posterior",
        f"the bound is soft, by {SOFTNESS:g} and a part",
        f"in less than {frugality.LEAST_AHEAD:g} epochs",
        f"that have converged {frugality.WATCHED} times",
        f"at most {frugality.FARTHEST:g}, less {frugality.SLACK:g} a training",
        f"A sum above {frugality.ALARM:g} is a drift",
        f"the last {frugality.MOST_SUSPECTS} of them",
        f"in level by {DRIFT_LEVEL:g}, in slope by {DRIFT_SLOPE:g} an octave",
        f"and in each batch size by {DRIFT_ROUGH:g}, and weighs",
        f"as below, but for {frugality.MOST_TRUST:g} at most",
        f"where it is at least {frugality.TRUSTED:g}",
    ],
)
def test_the_numbers_of_frugal_are_those_of_its_twin(sentence: str) -> None:
    assert sentence in CONCEPTS


def test_how_far_frugal_probes() -> None:
    assert (frugality.REACH, frugality.TRUSTED_SIZES) == (0.5, 3)
    assert "only next to what was tried or within half an octave of it" in CONCEPTS
    assert "it counts from three batch sizes on that the job has tried itself" in CONCEPTS


def test_the_rules() -> None:
    table = CONCEPTS.split("| rule | stage |")[1].split(" ## ")[0]
    rules = {
        rule for cell in re.findall(r"\| ((?:`\w+`(?:, )?)+) \|", table) for rule in re.findall(r"\w+", cell)
    }
    assert rules == {str(rule) for rule in Rule}


def test_leases_and_failures(job: Job) -> None:
    assert SILENT_SECONDS == 24 * 3600
    assert GAPS == 3
    assert f"`lease_seconds`, {DEFAULTS['lease_seconds']:.0f} s by default" in CONCEPTS
    assert "24 h, or three times the longest gap" in CONCEPTS
    assert job.max_failures == 3
    lost = Trial("it", 64, 1, NOW, TrialType.MAB, TrialStatus.FAILED, last_report=NOW)
    starved = replace(lost, failure_reason="out_of_memory")
    for trial, needed in ((starved, 3), (lost, 9)):
        tried = job
        for number in range(1, needed + 1):
            assert not is_set_aside(tried, 64)
            tried = failed(tried, replace(trial, trial_number=number))
        assert is_set_aside(tried, 64)
