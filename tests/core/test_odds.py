"""What the face of the odds makes of arms; the mathematics is in tests/property."""

import math

import pytest

from core.odds import interval, probabilities_best, probabilities_best_of
from core.records import Arm


def arm(mean: float, deviation: float) -> Arm:
    """Return an arm whose mean reward has this posterior; joules."""
    return Arm("job", 8, mean, deviation**-2, 1.0, 3)


def test_the_arm_of_the_highest_reward_is_the_likeliest_to_be_the_best() -> None:
    chances = probabilities_best([arm(-2000.0, 100.0), arm(-1900.0, 100.0)])
    assert chances == pytest.approx([0.23975006, 0.76024994], abs=1e-8)


def test_many_jobs_at_once_are_what_each_is_alone() -> None:
    jobs = [[arm(-1.0, 2.0), arm(-3.0, 1.0)], [], [arm(-5.0, 1.0)], [arm(0.0, 1.0)] * 4]
    assert probabilities_best_of(jobs) == [probabilities_best(arms) for arms in jobs]
    assert [len(chances) for chances in probabilities_best_of(jobs)] == [2, 0, 1, 4]
    assert probabilities_best_of([]) == []


def test_an_interval_holds_what_it_says_of_a_gaussian() -> None:
    assert interval(-10.0, 0.25) == pytest.approx((-10 - 2 * 1.959963985, -10 + 2 * 1.959963985))
    assert interval(0.0, 1.0, math.erf(1 / math.sqrt(2))) == pytest.approx((-1.0, 1.0))


def test_the_interval_of_what_is_known_is_a_point_and_of_what_is_unknown_there_is_none() -> None:
    assert interval(-7.0, math.inf) == (-7.0, -7.0)
    assert interval(-7.0, 0.0) is None
