"""Every rule has its sentence, with the figures of the decision."""

from typing import Any

import pytest
from msgspec.structs import replace

from core.rationale import Rationale, Rule
from core.records import Failures, Job, Stage
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
        "Batch size 64 had the lowest sampled cost, 1.21 MJ (posterior mean 1.30 MJ ± 80.0 kJ); next came "
        "128 with 1.28 MJ."
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
        ({"stage": Stage.PRUNING}, "was the best so far, or the default while there was none."),
        ({"size": 128}, "was the one of the lowest posterior mean cost, 1.20 MJ."),
        ({"size": 256}, "was taken since none had a result."),
    ],
)
def test_a_pause_says_what_was_taken_instead(members: dict[str, Any], expected: str) -> None:
    assert told(Rule.PAUSED, **members).endswith(expected)


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
