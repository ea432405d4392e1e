"""What policy frugal inherits of another job, or of its own past: trusted while it agrees, and outweighed."""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels import frugality as kernel
from core.kernels.twins import frugality as twin
from core.kernels.twins.beliefs import Column, Whose
from tests.property.minds import (
    Mind,
    educated,
    inherited,
    knowing,
    mind_of,
    nothing_known,
    steadily,
    taught,
    twin_of,
)
from tests.strategies import Floats, Lesson, lessons, octaves

EPOCHS, JOULES = [30.0, 20.0, 14.0, 12.0, 20.0], [100.0, 80.0, 65.0, 60.0, 58.0]


@given(
    lessons(octaves(3)),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.sampled_from([Whose.ANOTHERS, Whose.OWN]),
    st.integers(0, 2**32),
)
def test_kernel_and_twin_inherit_the_same(lesson: Lesson, spread: float, whose: Whose, seed: int) -> None:
    known = educated(kernel, lesson)[1]
    draws = np.random.default_rng(seed)
    seen = np.exp(mind_of(kernel, lesson, known).costs()[:, 0] + spread * draws.normal(size=len(known)))
    inherited(known, np.full(len(known), 20.0), seen / 20, whose)
    compiled, plain = mind_of(kernel, lesson, known), twin_of(lesson, known)
    if abs(plain.weight - twin.TRUSTED) > 1e-6:
        assert compiled.warmth == pytest.approx(plain.warmth, rel=1e-6)
        np.testing.assert_allclose(compiled.costs(), plain.costs(), rtol=1e-9, atol=1e-8)


def test_what_is_inherited_counts_from_three_batch_sizes_on(frugality: ModuleType) -> None:
    known, cold = nothing_known(5), nothing_known(5)
    inherited(known, EPOCHS, JOULES)
    for sizes in ([], [0], [0, 1]):
        minds = [knowing(frugality, range(5), rows) for rows in (known, cold)]
        for mind in minds:
            taught(mind, steadily(sizes[-1:], EPOCHS, JOULES, 2))
        assert minds[0].warmth == 0
        np.testing.assert_array_equal(minds[0].costs(), minds[1].costs())
    warm, alone = (knowing(frugality, range(5), rows) for rows in (known, cold))
    for mind in (warm, alone):
        taught(mind, steadily([2], EPOCHS, JOULES, 2))
    assert warm.warmth == twin.MOST_TRUST
    assert alone.warmth == 0
    expected = np.log(np.array(EPOCHS) * JOULES)[3:]
    missed, missed_alone = (abs(mind.costs()[3:, 0] - expected) for mind in (warm, alone))
    assert (missed < missed_alone).all()
    assert (warm.costs()[3:, 1] < alone.costs()[3:, 1]).all()


@pytest.mark.parametrize("times", [1e-6, 0.3, 30.0, 1e6])
def test_what_is_inherited_may_be_on_another_scale(frugality: ModuleType, times: float) -> None:
    costs = []
    for scale in (1.0, times):
        known = nothing_known(5)
        inherited(known, EPOCHS, scale * np.array(JOULES))
        mind = knowing(frugality, range(5), known)
        taught(mind, steadily([0, 1, 2], EPOCHS, JOULES, 2))
        assert mind.warmth == twin.MOST_TRUST
        costs.append(mind.costs())
    np.testing.assert_allclose(costs[0], costs[1], atol=1e-3)


@pytest.mark.parametrize("epochs", [EPOCHS[::-1], [10, 40, 160, 640, 2560], [2560, 640, 160, 40, 10]])
def test_a_source_that_contradicts_what_is_seen_is_dropped(
    frugality: ModuleType, epochs: list[float]
) -> None:
    known, cold = nothing_known(5), nothing_known(5)
    inherited(known, epochs, JOULES[::-1])
    minds = [knowing(frugality, range(5), rows) for rows in (known, cold)]
    for mind in minds:
        taught(mind, steadily([0, 1, 2], EPOCHS, JOULES, 2))
    assert minds[0].warmth == 0
    np.testing.assert_array_equal(minds[0].costs(), minds[1].costs())


def test_what_is_seen_outweighs_what_is_inherited(frugality: ModuleType) -> None:
    known = nothing_known(5)
    inherited(known, 1.15 ** np.array([0, 0, 0, 1, -1]) * EPOCHS, JOULES)
    mind = knowing(frugality, range(5), known)
    taught(mind, steadily([0, 1, 2], EPOCHS, JOULES, 2))
    expected = np.log(np.array(EPOCHS) * JOULES)[3:]
    missed = [abs(mind.costs()[3:, 0] - expected)]
    for times in (1, 4, 16):
        taught(mind, steadily([3, 4], EPOCHS, JOULES, times))
        assert mind.warmth == twin.MOST_TRUST
        missed.append(abs(mind.costs()[3:, 0] - expected))
    assert (np.diff(missed, axis=0) < 0).all()
    assert (missed[-1] < 0.01).all()


def drifted(frugality: ModuleType, known: Floats, dearer: Sequence[float]) -> Mind:
    """Return a mind that knew three batch sizes, once each has become dearer by a factor."""
    mind = knowing(frugality, range(5), known)
    taught(mind, steadily([0, 1, 2], EPOCHS, JOULES, 8))
    joules = [factor * one for factor, one in zip(dearer, JOULES, strict=True)]
    assert any(taught(mind, steadily([2], EPOCHS, joules, 4)))
    return mind


def test_after_a_drift_its_own_past_is_inherited_and_no_other(frugality: ModuleType) -> None:
    known = nothing_known(5)
    inherited(known, EPOCHS, JOULES)
    drifted(frugality, known, [1.0, 1.0, 2.0, 1.0, 1.0])
    assert known[:, Column.INHERITED_FROM].tolist() == [Whose.OWN] * 3 + [Whose.NOBODYS] * 2
    assert (known[3:, Column.INHERITED_FROM :] == 0).all()
    np.testing.assert_allclose(known[:2, Column.INHERITED_ENERGY], JOULES[:2])
    np.testing.assert_allclose(known[2, Column.INHERITED_ENERGY], JOULES[2], rtol=0.2)  # first it was doubted
    np.testing.assert_allclose(np.exp(known[:3, Column.INHERITED_EPOCHS]), EPOCHS[:3], rtol=0.1)


def test_what_was_known_before_a_second_drift_and_not_since_stays_inherited(frugality: ModuleType) -> None:
    known = nothing_known(5)
    mind = drifted(frugality, known, [1.0, 1.0, 2.0, 1.0, 1.0])
    before = known[:, Column.INHERITED_FROM :].copy()
    taught(mind, steadily([2], EPOCHS, [200.0] * 5, 8))
    assert any(taught(mind, steadily([2], EPOCHS, [600.0] * 5, 4)))
    np.testing.assert_array_equal(known[[0, 1, 3, 4], Column.INHERITED_FROM :], before[[0, 1, 3, 4]])
    assert known[2, Column.INHERITED_ENERGY] > before[2, 2]


def test_its_own_past_tells_of_what_has_not_been_tried_since(frugality: ModuleType) -> None:
    known = nothing_known(5)
    mind = drifted(frugality, known, [1.0, 1.0, 1.5, 1.0, 1.0])
    without = known.copy()
    without[:, Column.INHERITED_FROM :] = 0.0
    alone = knowing(frugality, range(5), without)
    assert mind.warmth > 0.5
    apart = np.diff(np.log(np.array(EPOCHS) * JOULES)[:2])
    missed, missed_alone = (abs(np.diff(one.costs()[:2, 0]) - apart) for one in (mind, alone))
    assert missed < missed_alone / 2
    assert (mind.costs()[:2, 1] < alone.costs()[:2, 1]).all()
    assert (mind.costs()[:2, 1] > 0.01).all()  # it may have drifted too


def test_a_past_that_holds_no_more_is_outweighed(frugality: ModuleType) -> None:
    known = nothing_known(5)
    inherited(known, [60.0, 5.0, 60.0, 5.0, 60.0], JOULES, Whose.OWN)
    mind = knowing(frugality, range(5), known)
    taught(mind, steadily(range(5), EPOCHS, JOULES, 3))
    assert mind.warmth < 0.01
    np.testing.assert_allclose(mind.costs()[:, 0], np.log(np.array(EPOCHS) * JOULES), atol=0.05)
