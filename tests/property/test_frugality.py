"""What policy frugal decides: as its twin, and as is promised of it."""

import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.kernels import frugality as kernel
from core.kernels import recurring_frugal
from core.kernels.recurrences import Trainings
from core.kernels.twins import frugality as twin
from core.kernels.twins.beliefs import Column
from core.kernels.twins.stream import generator, row_of
from tests.property.minds import (
    all_usable,
    educated,
    is_close_call,
    knowing,
    mind_of,
    nothing_known,
    stream_of,
    twin_of,
)
from tests.strategies import Floats, Lesson, lessons, octaves

MAX_EPOCHS = 1e5
DEFAULT, SOUGHT, PROBED, SAMPLED = range(4)


@st.composite
def usables(draw: st.DrawFn, n: int) -> NDArray[np.uint8]:
    """Draw which batch sizes may be chosen, at least one."""
    flags = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(any) | st.just([1] * n))
    return np.array(flags, dtype=np.uint8)


@given(lessons(), st.integers(0, 40), st.integers(0, 2**32), st.data())
def test_kernel_and_twin_choose_the_same(lesson: Lesson, number: int, seed: int, data: st.DataObject) -> None:
    (compiled, known), (plain, _) = educated(kernel, lesson), educated(twin, lesson)
    usable, stream = data.draw(usables(len(known))), stream_of(seed)
    chosen = compiled.choose(number, MAX_EPOCHS, usable, stream)
    expected = plain.choose(number, MAX_EPOCHS, usable, stream)
    if chosen[:2] != expected[:2]:
        assert is_close_call(lesson, known, number, usable)
        return
    np.testing.assert_allclose(chosen[2:4], expected[2:4], rtol=1e-7)
    np.testing.assert_allclose(chosen[4], expected[4], rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(chosen[5], expected[5])


@given(lessons(), st.data())
def test_kernel_and_twin_stop_the_same(lesson: Lesson, data: st.DataObject) -> None:
    compiled, known = educated(kernel, lesson)
    plain = twin_of(lesson, known)
    assume(compiled.leader >= 0)
    assert compiled.leader == plain.leader
    size, epoch = data.draw(st.integers(0, len(known) - 1)), data.draw(st.integers(1, 10**5))
    cost = math.exp(compiled.costs()[compiled.leader, 0]) * data.draw(st.floats(1e-3, 1e3))
    ahead = data.draw(st.integers(0, 3) | st.integers(0, 10**5))
    goes_on, bound, rest = compiled.is_worth_it(size, epoch, cost, ahead)
    worth, expected_bound, expected_rest = plain.weighed_rest(size, epoch, cost, ahead)
    assert goes_on == (worth >= 0) or abs(worth) < 1e-6
    assert bound == pytest.approx(expected_bound, rel=1e-9, abs=1e-8)
    assert rest == pytest.approx(expected_rest, rel=1e-5)


@given(lessons(joules=st.sampled_from([1e-90, 1.0, 1e90])), st.integers(0, 40), st.data())
def test_what_is_chosen_may_be_chosen(lesson: Lesson, number: int, data: st.DataObject) -> None:
    mind, known = educated(kernel, lesson)
    usable = data.draw(usables(len(known)))
    size, rule, saving, price, samples, after = mind.choose(number, MAX_EPOCHS, usable, stream_of(1))
    assert usable[size]
    has_won = (known[:, Column.SUCCESSES] > 0) & (usable > 0)
    assert (rule in {PROBED, SAMPLED}) == has_won.any()
    if rule == DEFAULT:
        assert size == lesson.default
        assert not known[size, [Column.RUNS, Column.RUNNING]].any()
    if rule == PROBED:
        tried = np.flatnonzero(known[:, Column.RUNS])
        assert number >= known[size, Column.RETRY]
        assert known[size, Column.SUCCESSES] == 0
        assert reaches(lesson.positions, tried[0], tried[-1], size)
        assert saving > 0
        assert math.isfinite(price)
    else:
        assert math.isnan(saving)
        assert math.isnan(price)
    assert np.isfinite(samples).tolist() == (has_won if rule == SAMPLED else np.zeros(len(known))).tolist()
    assert (after == stream_of(1)).all() == (rule != SAMPLED)


def reaches(positions: Floats, low: int, high: int, size: int) -> bool:
    """Tell whether a batch size is next to some, or near."""
    nearest = min(max(size, low), high)
    return abs(size - nearest) <= 1 or abs(positions[size] - positions[nearest]) <= twin.REACH


@given(lessons(endings=(0,), most_results=20), st.integers(0, 2**32))
def test_a_sample_takes_a_normal_of_each_batch_size_that_has_converged(lesson: Lesson, seed: int) -> None:
    mind, known = educated(kernel, lesson._replace(running=[0] * len(lesson.positions)))
    usable = (known[:, Column.SUCCESSES] > 0).astype(np.uint8)
    assume(usable.any())
    costs = mind.costs()
    size, rule, _, _, samples, after = mind.choose(1, MAX_EPOCHS, usable, stream_of(seed))
    draws = generator(stream_of(seed)[0])
    won = np.flatnonzero(usable)
    normals = draws.normal(size=len(won))
    assert rule == SAMPLED
    np.testing.assert_allclose(
        samples[won], costs[won, 0] + 0.4 * np.sqrt(costs[won, 1]) * normals, rtol=1e-12
    )
    assert size == won[np.argmin(samples[won])]
    np.testing.assert_array_equal(after, [row_of(draws.bit_generator)])


def test_the_default_comes_first(frugality: ModuleType) -> None:
    for default in range(4):
        mind = knowing(frugality, range(4), nothing_known(4), default)
        assert mind.choose(1, MAX_EPOCHS, all_usable(4), stream_of(1))[:2] == (default, DEFAULT)


@given(octaves(), st.data())
def test_before_the_first_result_one_is_probed_on_either_side_of_the_default(
    positions: Floats, data: st.DataObject
) -> None:
    known = nothing_known(len(positions))
    default = data.draw(st.integers(0, len(known) - 1))
    for number in range(1, 17):
        mind = knowing(kernel, positions.tolist(), known, default)
        size, rule, *_ = mind.choose(number, MAX_EPOCHS, all_usable(len(known)), stream_of(1))
        assert rule == (DEFAULT if number == 1 else SOUGHT)
        assert reaches(positions, default, default, size)
        known[size, Column.RUNNING] += 1
    running = known[:, Column.RUNNING]
    assert running[:default].sum() <= 1
    assert running[default + 1 :].sum() <= 1


@given(lessons(octaves(2, 8), endings=(0,)), st.integers(1, 30))
def test_of_sixteen_at_a_time_few_are_probes(lesson: Lesson, number: int) -> None:
    _, known = educated(kernel, lesson._replace(running=[0] * len(lesson.positions)))
    assume(known[:, Column.SUCCESSES].any())
    for running in range(16):
        mind = mind_of(kernel, lesson, known)
        size, rule, *_ = mind.choose(number + running, MAX_EPOCHS, all_usable(len(known)), stream_of(running))
        known[size, Column.RUNNING] += 1
        probes = known[known[:, Column.SUCCESSES] == 0, Column.RUNNING].sum()
        assert probes <= 1 + running // 8
        assert (rule == PROBED) == (known[size, Column.SUCCESSES] == 0)


@given(lessons(octaves(2, 8), endings=(0,)), st.integers(0, 7))
def test_a_probe_that_runs_leaves_less_to_save(lesson: Lesson, size: int) -> None:
    _, known = educated(twin, lesson._replace(running=[0] * len(lesson.positions)))
    assume(known[:, Column.SUCCESSES].any())
    size %= len(known)
    assume(known[size, Column.SUCCESSES] == 0)
    savings = []
    for running in range(4):
        known[size, Column.RUNNING] = running
        mind = twin_of(lesson, known)
        believed = twin.expecting(mind.cold, known)
        savings.append(twin.weigh(believed, size, mind.leader, can_be_stopped=True)[0])
    assert (np.diff(savings) <= 1e-12).all()


@given(lessons(octaves(2)), st.data())
def test_what_has_cost_more_is_never_worth_more(lesson: Lesson, data: st.DataObject) -> None:
    mind, known = educated(kernel, lesson)
    assume(mind.leader >= 0)
    size, epoch = data.draw(st.integers(0, len(known) - 1)), data.draw(st.integers(1, 10**4))
    ahead = data.draw(st.integers(0, 50))
    costs = math.exp(mind.costs()[mind.leader, 0]) * 10.0 ** np.linspace(-4, 8, 25)
    told = [mind.is_worth_it(size, epoch, cost, ahead) for cost in costs.tolist()]
    goes_on, bounds, rests = zip(*told, strict=True)
    assert list(goes_on) == sorted(goes_on, reverse=True)
    assert (np.diff(rests) > 0).all()
    assert len(set(bounds)) == 1
    assert bounds[0] >= math.log(epoch + 0.5)


@given(lessons(octaves(2)), st.data())
def test_the_earlier_the_leader_was_ahead_the_more_epochs_are_needed(
    lesson: Lesson, data: st.DataObject
) -> None:
    mind, known = educated(kernel, lesson)
    assume(mind.leader >= 0)
    size, epoch = data.draw(st.integers(0, len(known) - 1)), data.draw(st.integers(1, 10**4))
    bounds = [mind.is_worth_it(size, epoch, 1.0, ahead)[1] for ahead in range(2, 40)]
    assert bounds == sorted(bounds, reverse=True)
    for too_early in (0, 1, 1.9):
        assert mind.is_worth_it(size, epoch, 1.0, too_early)[1] == math.log(epoch + 0.5)


@given(lessons(octaves(33, 64), most_results=60), st.integers(0, 2**32))
def test_many_batch_sizes_are_chosen_from(lesson: Lesson, seed: int) -> None:
    mind, known = educated(kernel, lesson)
    size, _, _, _, samples, _ = mind.choose(1, MAX_EPOCHS, all_usable(len(known)), stream_of(seed))
    assert 0 <= size < len(known)
    assert not np.isinf(samples).any()


@given(lessons(octaves(2), most_results=0), st.integers(0, 2**32))
def test_a_mirrored_metric_changes_nothing(lesson: Lesson, seed: int) -> None:
    n, draws = len(lesson.positions), np.random.default_rng(seed)
    times = draws.uniform(1, 2, size=n)
    curves = np.sort(draws.normal(size=(n, 30)), axis=1)
    told = []
    for sign in (1.0, -1.0):
        trainings = Trainings(
            np.arange(n + 1),
            times,
            100 * times,
            np.full(n, 30),
            sign * curves,
            sign * 1.0,
            sign > 0,
            0.1,
            0.5,
            200.0,
        )
        chances = np.array([[stream_of(seed + i)[0] for i in range(n)]])
        arguments = trainings, trainings, 30, chances, stream_of(seed), 30, lesson.positions, None
        told.append(recurring_frugal.play(*arguments, default=lesson.default, beta=2.0, rounds=2))
    assert (told[0][1], told[0][2]) == (told[1][1], told[1][2])
    first, second = (trainings[0, : count[0]] for trainings, count, _ in told)
    np.testing.assert_array_equal(first, second)
