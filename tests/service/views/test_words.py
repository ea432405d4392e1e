"""Every rule has its sentence, with the figures of the decision."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.policies.knowledge import Knowledge, Seen, write
from core.rationale import Rationale, Rule
from core.records import Failures, Job, Policy, Stage
from service.views import words
from service.views.jobs import best_batch_size
from service.views.problems import problem_of
from service.views.shapes import Trouble, WeighedView
from tests.service.store.test_reading import ARM, JOB

ARMS = [
    WeighedView(batch_size=64, mean_cost=1.3e6, deviation=80_000.0, num_observations=5, sampled_cost=1.21e6),
    WeighedView(batch_size=128, mean_cost=1.2e6, deviation=0.0, num_observations=2, sampled_cost=1.28e6),
    WeighedView(batch_size=256, mean_cost=0.0, deviation=None, num_observations=0, sampled_cost=None),
]


def told(rule: Rule, size: int = 64, **members: Any) -> str:  # noqa: ANN401  (of a rationale)
    why = Rationale(members.pop("stage", Stage.MAB), rule, members.pop("round", None))
    return words.decision(JOB, size, why, members.pop("arms", ARMS))


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_a_sentence_that_names_the_batch_size(rule: Rule) -> None:
    sentence = told(rule, round=1)
    assert "64" in sentence
    assert sentence.endswith(".")
    assert "None" not in sentence


def test_a_sample_is_told_with_the_one_that_came_next() -> None:
    assert told(Rule.SAMPLED) == (
        "Batch size 64 had the lowest sampled cost, 1.21 MJ (posterior mean 1.30 MJ ± 80.0 kJ); next "
        "came 128 with 1.28 MJ."
    )


def test_a_sample_of_the_only_arm_says_so() -> None:
    assert told(Rule.SAMPLED, arms=ARMS[:1]) == (
        "Batch size 64 was the only one that was left (posterior mean 1.30 MJ ± 80.0 kJ)."
    )


def test_what_is_explored_says_how_much_is_known_and_how_much_is_wanted() -> None:
    sentence = told(Rule.UNEXPLORED, 256)
    assert "Batch size 256 had 0 results, and is explored until it has 2" in sentence


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stage": Stage.PRUNING}, "before any has converged, the default or else the smallest."),
        ({"size": 128}, "was the one of the lowest posterior mean cost, 1.20 MJ."),
        ({"size": 256}, "was taken since none had a result."),
    ],
)
def test_a_pause_says_what_was_taken_instead(members: dict[str, Any], expected: str) -> None:
    assert told(Rule.PAUSED, **members).endswith(expected)


FRUGAL = replace(JOB, policy=Policy.FRUGAL, min_cost=1.2e6)
TRIED = [
    WeighedView(batch_size=64, mean_cost=1.3e6, deviation=80_000.0, num_observations=5, sampled_cost=1.21e6),
    WeighedView(batch_size=128, mean_cost=1.2e6, deviation=20_000.0, num_observations=2, sampled_cost=None),
    WeighedView(batch_size=512, mean_cost=1.1e6, deviation=4e5, num_observations=0, sampled_cost=None),
]


@pytest.mark.parametrize(
    ("why", "size", "arms", "expected"),
    [
        (
            Rationale(Stage.MAB, Rule.DEFAULT),
            64,
            [],
            "The job begins with its default, batch size 64: no training had a result yet.",
        ),
        (
            Rationale(Stage.MAB, Rule.SOUGHT),
            256,
            TRIED,
            (
                "No training had reached its target yet; there were 7 results at 2 batch sizes. Of the "
                "batch sizes that were left 256 was expected to reach it at the lowest cost."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.SOUGHT),
            64,
            TRIED[:1],
            (
                "No training had reached its target yet; there were 5 results at 1 batch size. Of the batch"
                " sizes that were left 64 was expected to reach it at the lowest cost (posterior mean 1.30 "
                "MJ ± 80.0 kJ, 5 results)."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.PROBED, saving=1200.0, price=3000.0),
            512,
            TRIED,
            (
                "Batch size 512, of which no result counted so far, may save 1.20 kJ a training; finding out "
                "costs about 3.00 kJ, as much as 3 trainings may save. Of the others 128 was the cheapest so "
                "far: posterior mean 1.20 MJ ± 20.0 kJ."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.PROBED, saving=1200.0, price=-5.0),
            64,
            TRIED[:1],
            (
                "Batch size 64, of which 5 results counted so far, may save 1.20 kJ a training, and finding "
                "out costs nothing: it is expected to save 5.00 J at once."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.PROBED, saving=5e-324, price=1e100),
            64,
            TRIED[:1],
            (
                "Batch size 64, of which 5 results counted so far, may save 4.94e-324 J a training; finding "
                "out costs about 1.00e+100 J."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.SAMPLED),
            64,
            TRIED,
            (
                "Batch size 64 was the only one at which trainings had reached their target (posterior mean"
                " 1.30 MJ ± 80.0 kJ)."
            ),
        ),
        (
            Rationale(Stage.MAB, Rule.PAUSED),
            256,
            TRIED,
            (
                "The job was paused, so that nothing was explored: batch size 256 was taken since none had "
                "reached the target."
            ),
        ),
    ],
)
def test_a_policy_that_prunes_nothing_has_sentences_of_its_own(
    why: Rationale, size: int, arms: list[WeighedView], expected: str
) -> None:
    assert words.decision(FRUGAL, size, why, arms) == expected


def test_where_nothing_is_pruned_only_what_has_converged_is_the_best() -> None:
    arms = {size: replace(ARM, batch_size=size, param_mean=-float(size)) for size in (32, 64, 128)}
    seen = {32: Seen(failures=1.0), 64: Seen(successes=0.5), 128: Seen(successes=2.0)}
    job = replace(FRUGAL, stage=Stage.MAB, knowledge=write(Knowledge((32, 64, 128), seen=seen)))
    assert best_batch_size(job, arms) == 64
    assert best_batch_size(replace(job, failures={64: Failures(9, None)}), arms) == 128
    unproven = write(Knowledge((32, 64, 128), seen={32: seen[32]}))
    assert best_batch_size(replace(job, knowledge=unproven), arms) is None
    assert best_batch_size(replace(job, knowledge="{"), arms) is None


def failing(**failures: Failures) -> Job:
    seen = {int(size.removeprefix("at_")): one for size, one in failures.items()}
    return replace(JOB, stage=Stage.MAB, failures=seen, max_failures=3)


def test_a_problem_is_one_from_a_whole_failure_on() -> None:
    assert problem_of(failing(at_64=Failures(2, None)), [64, 128], {}) is None
    problem = problem_of(failing(at_64=Failures(4, None), at_128=Failures(3, "OSError")), [64, 128], {})
    assert problem is not None
    assert problem.trouble is Trouble.FAILING
    assert problem.sentence.startswith(
        "The last trainings at batch size 64 have failed (no reason given), which counts as 1.33 of the 3 "
    )


def test_what_is_set_aside_is_no_longer_the_best() -> None:
    arms = {size: replace(ARM, batch_size=size, param_mean=-float(size)) for size in (64, 128)}
    assert best_batch_size(failing(), arms) == 64
    assert best_batch_size(failing(at_64=Failures(9, None)), arms) == 128
    assert best_batch_size(failing(at_64=Failures(9, None), at_128=Failures(9, None)), arms) is None
    unknown = arms | {32: replace(ARM, batch_size=32, param_mean=0.0, num_observations=0)}
    assert best_batch_size(failing(), unknown) == 64
