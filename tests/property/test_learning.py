"""What policy frugal keeps of results, and when it takes costs to have drifted."""

import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels import frugality as kernel
from core.kernels.twins import frugality as twin
from core.kernels.twins.beliefs import Column
from tests.property.minds import (
    converged,
    knowing,
    mind_of,
    nothing_known,
    steadily,
    taught,
)
from tests.strategies import Lesson, lessons, octaves

FAILED = 2


@given(lessons(most_results=60))
def test_kernel_and_twin_doubt_the_same(lesson: Lesson) -> None:
    minds = [mind_of(kernel, lesson, nothing_known(len(lesson.positions)))]
    minds += [mind_of(twin, lesson, nothing_known(len(lesson.positions)))]
    for number, result in enumerate(lesson.results):
        drifted, expected = (mind.learn(*result, number) for mind in minds)
        assert drifted == expected
        np.testing.assert_allclose(minds[0].watched, minds[1].watched, atol=1e-6)
        assert minds[0].suspects == minds[1].suspects


@pytest.mark.parametrize("ending", [1, 2, 3])
def test_a_batch_size_that_was_stopped_is_left_alone_for_ever_longer(
    frugality: ModuleType, ending: int
) -> None:
    known = nothing_known(2)
    mind = knowing(frugality, range(2), known)
    pauses = []
    for number in (10, 100, 1000):
        mind.learn(1, 5.0, 5.0, 1e3, ending, 2.0, number)
        pauses.append(known[1, Column.RETRY] - number)
    assert pauses == [8, 16, 32]
    assert known[1, Column.STOPS] == 3


@given(lessons(most_results=150, positions=octaves(1, 3)))
def test_memory_fades_and_bounds_only_rise(frugality: ModuleType, lesson: Lesson) -> None:
    known = nothing_known(len(lesson.positions))
    mind = mind_of(frugality, lesson, known)
    for number, result in enumerate(lesson.results):
        before = known[:, Column.BOUND].copy()
        if not mind.learn(*result, number):
            assert (known[:, Column.BOUND] >= before).all()
        assert (known[:, [Column.SUCCESSES, Column.RUNS]] <= 50).all()


def test_what_is_old_fades(frugality: ModuleType) -> None:
    known = nothing_known(1)
    mind = knowing(frugality, [3.0], known)
    level = 10 * 1.0005 ** np.arange(600)  # too slow for a drift
    drifted = [mind.learn(*converged(0, epochs, 100.0), i) for i, epochs in enumerate(level.tolist())]
    assert not any(drifted)
    assert known[0, Column.SUCCESSES] == known[0, Column.RUNS] == 50
    assert mind.costs()[0, 0] == pytest.approx(math.log(100 * level[-1]), abs=0.05)


CALM = st.lists(st.floats(-2.0, 2.0), min_size=60, max_size=60)


@given(CALM, st.floats(0.0, 0.03), st.floats(1.3, 10.0), st.integers(20, 40))
def test_what_stays_dearer_is_a_drift_within_eight_trainings(
    noises: list[float], noise: float, times: float, steady: int
) -> None:
    known = nothing_known(2)
    mind = knowing(kernel, range(2), known)
    factors = np.exp(noise * np.array(noises)) * np.where(np.arange(60) < steady, 1.0, times)
    known[1, Column.RUNNING] = 3.0
    for number, factor in enumerate(factors.tolist()):
        if number % 10 == 0:
            mind.learn(*converged(1, 5.0, 100.0), number)
        if mind.learn(*converged(0, 10.0, 100.0 * factor), number):
            break
    assert steady <= number < steady + 8
    assert known[1, Column.RUNNING] == 3.0
    assert known[1].sum() == 3.0 - math.inf
    assert known[0, Column.RUNS] == known[0, Column.SUCCESSES] <= kernel.SUSPECTS
    assert mind.watched == (0.0, 0.0)
    assert mind.suspects == []
    assert mind.costs()[0, 0] == pytest.approx(math.log(1000 * times), abs=0.4 * math.log(times))


@given(CALM, st.floats(1e-3, 1e3), st.integers(4, 40), st.floats(0.0, 0.03), st.sampled_from([0, 1, 2]))
def test_a_single_training_however_far_off_is_no_drift(
    noises: list[float], times: float, place: int, noise: float, ending: int
) -> None:
    mind = knowing(kernel, [4.0], nothing_known(1))
    factors = np.exp(noise * np.array(noises))
    factors[place] *= times
    results = [converged(0, 10.0 * factor, 100.0) for factor in factors.tolist()]
    results[place] = results[place]._replace(ending=ending)
    drifted = [mind.learn(*result, number) for number, result in enumerate(results)]
    assert not any(drifted)


@pytest.mark.parametrize("one_in", [2, 3, 5, 10])
def test_failing_as_often_as_ever_is_no_drift(frugality: ModuleType, one_in: int) -> None:
    mind = knowing(frugality, [4.0], nothing_known(1))
    for number in range(300):
        result = converged(0, 10.0, 100.0)
        failed = result._replace(ending=FAILED, epochs=20.0, time=10.0, energy=2e3)
        assert not mind.learn(*(failed if number % one_in == one_in - 1 else result), number)


def test_failing_where_nothing_ever_failed_is_a_drift(frugality: ModuleType) -> None:
    mind = knowing(frugality, [4.0], nothing_known(1))
    results = steadily([0], [10.0], [100.0], 20)
    drifted = [mind.learn(*result, number) for number, result in enumerate(results)]
    drifted += [mind.learn(*result._replace(ending=FAILED), 30) for result in results[:8]]
    assert any(drifted[20:])
    assert not any(drifted[:20])


def test_of_results_that_make_one_doubt_the_newest_are_kept(frugality: ModuleType) -> None:
    known = nothing_known(1)
    taught(knowing(frugality, [4.0], known), steadily([0], [10.0], [100.0], 10))
    suspects = [converged(0, 10.0 + i / 100, 100.0) for i in range(kernel.SUSPECTS)]
    mind = frugality.Mind(np.array([4.0]), 0, known, np.array([4.0, 0.0]), np.array(suspects), 1.0, 0.0)
    newest = converged(0, 10.0, 100.0)
    assert not mind.learn(*newest, 11)
    assert mind.watched == pytest.approx((3.0, 0.0), abs=0.3)
    assert mind.suspects == [tuple(one) for one in [*suspects[1:], newest]]


@given(lessons(most_results=60, endings=(0, 0, 0, 0, 2), positions=octaves(1, 2)))
def test_a_mind_that_is_made_anew_goes_on_as_if_it_were_the_same(lesson: Lesson) -> None:
    known, kept = nothing_known(len(lesson.positions)), nothing_known(len(lesson.positions))
    mind = other = mind_of(kernel, lesson, known)
    for number, result in enumerate(lesson.results):
        suspects = np.array(other.suspects, dtype=np.float64).reshape(-1, 6)
        other = kernel.Mind(*lesson[:2], kept, np.array(other.watched), suspects, *lesson[2:4])
        assert mind.learn(*result, number) == other.learn(*result, number)
        np.testing.assert_array_equal(known, kept)
        assert (mind.watched, mind.suspects) == (other.watched, other.suspects)
        np.testing.assert_array_equal(mind.costs(), other.costs())
