"""What policy frugal believes: the posterior of everything at once, whatever the order and the unit."""

import math
from random import Random
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from core.kernels import frugality as kernel
from core.kernels.twins import beliefs, results
from core.kernels.twins import frugality as twin
from core.kernels.twins.beliefs import Column
from tests.property.minds import (
    all_usable,
    converged,
    educated,
    is_close_call,
    knowing,
    mind_of,
    nothing_known,
    steadily,
    stream_of,
    taught,
)
from tests.strategies import Lesson, lessons, octaves

ROUNDING = 1e-8  # of logarithms of costs: a prior variance of 100 leaves that much of 16 digits
EXTREMES = st.sampled_from([1e-90, 1e-30, 1.0, 1e90])


@given(lessons())
def test_kernel_and_twin_believe_the_same(lesson: Lesson) -> None:
    (compiled, known), (plain, known_plainly) = educated(kernel, lesson), educated(twin, lesson)
    np.testing.assert_allclose(known, known_plainly, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(compiled.costs(), plain.costs(), rtol=1e-9, atol=ROUNDING)
    assert compiled.noise == pytest.approx(plain.noise, rel=1e-9)


@given(lessons(octaves(33, 64), joules=EXTREMES))
def test_many_batch_sizes_are_no_trouble(lesson: Lesson) -> None:
    compiled, plain = educated(kernel, lesson)[0], educated(twin, lesson)[0]
    np.testing.assert_allclose(compiled.costs(), plain.costs(), rtol=1e-9, atol=1e-7)


@given(lessons(joules=EXTREMES, most_results=40))
def test_beliefs_are_finite_and_variances_positive(lesson: Lesson) -> None:
    costs = educated(kernel, lesson)[0].costs()
    assert np.isfinite(costs).all()
    assert (costs[:, 1] > 0).all()


def test_thousands_of_results_leave_variances_positive() -> None:
    lesson = Lesson(np.log2(np.arange(1.0, 65.0)), 0, 1.0, 0.0, [], [])
    known, draws = nothing_known(64), np.random.default_rng(1)
    mind = mind_of(kernel, lesson, known)
    noises = np.exp(0.02 * draws.normal(size=(5000, 2)))
    taught(mind, (converged(i % 64, 10 * a, 100 * b) for i, (a, b) in enumerate(noises)))
    costs = mind.costs()
    np.testing.assert_allclose(costs[:, 0], math.log(1000), atol=0.05)
    assert (costs[:, 1] > 0).all()
    assert (costs[:, 1] < 1e-3).all()
    assert (known[:, Column.RUNS] <= results.MEMORY).all()
    np.testing.assert_allclose(costs, mind_of(twin, lesson, known).costs(), rtol=1e-7, atol=ROUNDING)


@given(lessons(), st.randoms(use_true_random=False))
def test_the_order_of_results_does_not_matter(
    frugality: ModuleType, lesson: Lesson, shuffling: Random
) -> None:
    # Of up to three a batch size, near each other: of more the oldest fade, and what is far off counts less.
    sizes = range(len(lesson.positions))
    turns = [result for size in sizes for result in [r for r in lesson.results if r.size == size][:3]]
    calm = [result for result in turns if result.ending in {0, 3}]
    calm = [result._replace(epochs=10.0 + result.size, energy=1e3, time=10.0) for result in calm]
    shuffled = list(calm)
    shuffling.shuffle(shuffled)
    np.testing.assert_allclose(
        educated(frugality, lesson._replace(results=shuffled))[0].costs(),
        educated(frugality, lesson._replace(results=calm))[0].costs(),
        rtol=1e-9,
        atol=ROUNDING,
    )


@given(lessons(octaves(3, 4)), st.randoms(use_true_random=False))
def test_evidence_is_the_density_of_one_result_after_the_other(lesson: Lesson, shuffling: Random) -> None:
    octaves_apart = lesson.positions - lesson.positions[lesson.default]
    before = beliefs.prior(beliefs.EPOCHS, octaves_apart, 0.0, beliefs.Whose.NOBODYS)
    n = len(octaves_apart)
    values, variances = np.linspace(1.0, 3.0, n), np.linspace(0.01, 0.02, n)
    seen = beliefs.Seen(np.eye(n), values, variances)
    whole = beliefs.log_density(before, seen)
    expected = stats.multivariate_normal(before.mean, before.spread + np.diag(variances)).logpdf(values)
    assert whole == pytest.approx(expected, rel=1e-9)
    order, believed, parts = list(range(n)), before, 0.0
    shuffling.shuffle(order)
    for place in order:
        one = beliefs.Seen(*(part[[place]] for part in seen))
        parts += beliefs.log_density(believed, one)
        believed = beliefs.conditioned(believed, one)
    assert whole == pytest.approx(parts, rel=1e-9)
    np.testing.assert_allclose(believed.mean, beliefs.conditioned(before, seen).mean, rtol=1e-9)


@given(lessons())
def test_covariances_are_symmetric_and_positive(lesson: Lesson) -> None:
    _, known = educated(kernel, lesson)
    for whose in beliefs.Whose:
        believed = beliefs.fit(known, *lesson[:4], whose)
        for spread in (believed.rate.spread, believed.epochs.spread):
            np.testing.assert_allclose(spread, spread.T, atol=1e-10)
            assert np.linalg.eigvalsh(spread).min() > -1e-10


# Of two bounds one may tell nothing once the other is known.
CONVERGING = lessons(octaves(2), endings=(0,))


@given(CONVERGING, st.data())
def test_a_batch_size_that_is_new_makes_no_other_less_certain(lesson: Lesson, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(lesson.positions) - 1))
    others = [result for result in lesson.results if result.size != size]
    before = educated(kernel, lesson._replace(results=others))[0].costs()
    after = educated(kernel, lesson._replace(results=[*others, converged(size, 20.0, 300.0)]))[0].costs()
    assert (after[:, 1] <= before[:, 1] + 1e-12).all()


@given(CONVERGING, st.floats(-1.0, 207.0), st.data())
def test_a_bound_makes_nothing_less_certain_and_nothing_cheaper(
    frugality: ModuleType, lesson: Lesson, bound: float, data: st.DataObject
) -> None:
    size = data.draw(st.integers(0, len(lesson.positions) - 1))
    others = [result for result in lesson.results if result.size != size]
    before, known = educated(frugality, lesson._replace(results=others))
    expected = before.costs()
    known[size, Column.BOUND] = bound
    costs = mind_of(frugality, lesson, known).costs()
    assert (costs[:, 1] <= expected[:, 1] + 1e-12).all()
    assert costs[size, 0] >= expected[size, 0] - ROUNDING


@given(st.floats(0.0, 207.0), st.sampled_from([0, 1, 3, 12]))
def test_bounds_however_far_are_believed_alike(bound: float, times: int) -> None:
    known = nothing_known(4)
    taught(knowing(kernel, range(4), known), steadily([0, 1, 2], [10, 11, 12], [1e3, 9e2, 8e2], times))
    known[3, Column.BOUND] = bound
    compiled, plain = knowing(kernel, range(4), known).costs(), knowing(twin, range(4), known).costs()
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


def test_the_higher_a_bound_the_dearer_its_batch_size(frugality: ModuleType) -> None:
    known = nothing_known(4)
    taught(knowing(frugality, range(4), known), steadily([0, 1, 2], [10, 11, 12], [1e3, 9e2, 8e2], 8))
    costs = []
    for bound in (-math.inf, *np.linspace(0.0, 12.0, 30)):
        known[3, Column.BOUND] = bound
        costs.append(knowing(frugality, range(4), known).costs()[3, 0])
    assert (np.diff(costs) >= -1e-9).all()
    assert costs[-1] > costs[0] + 5


@pytest.mark.parametrize("z", [-60.0, -20.0, -5.0, -1.0, 0.0, 2.0, 9.0])
@pytest.mark.parametrize("variance", [0.01, 0.3, 3.0])
def test_moments_above_a_bound_are_those_of_the_formula(z: float, variance: float) -> None:
    scale = math.sqrt(variance + beliefs.SOFTNESS**2)
    higher, narrower = beliefs.above(1.0, variance, 1.0 - z * scale, beliefs.SOFTNESS)
    hazard = math.exp(stats.norm.logpdf(z) - stats.norm.logcdf(z))
    assert higher == pytest.approx(1.0 + variance / scale * hazard, rel=1e-9)
    expected = variance - (variance / scale) ** 2 * hazard * (hazard + z)
    assert narrower == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("mean", "deviation"), [(0.0, 1.0), (2.0, 0.5), (-3.0, 1.0), (0.1, 0.01), (9.0, 1.0)]
)
def test_improvement_is_the_expected_shortfall(mean: float, deviation: float) -> None:
    expected, _ = integrate.quad(
        lambda x: -x * stats.norm.pdf(x, mean, deviation),
        mean - 40 * deviation,
        min(0.0, mean + 40),
        points=[mean],
    )
    assert beliefs.improvement(mean, deviation) == pytest.approx(max(expected, 0.0), abs=1e-9)


def test_one_batch_size_is_believed_by_its_precisions(frugality: ModuleType) -> None:
    known = nothing_known(1)
    mind = knowing(frugality, [5.0], known)
    taught(mind, steadily([0], [20.0], [50.0], 3))
    noise = 4 * 0.12**2 / 6 / 3  # nothing scattered
    scale, rough = 1.5**2 + 0.5**2, 0.1**2
    precision = 1 / (scale + rough) + 1 / noise
    epochs = (2.3 / (scale + rough) + math.log(20) / noise) / precision
    rate_noise = 4 * 0.02**2 / 6 / 3 + 1e-6
    rate_precision = 1 / (10.0**2 + 0.2**2 + 0.03**2) + 1 / rate_noise
    ((mean, variance),) = mind.costs()
    assert mean == pytest.approx(epochs + math.log(50), abs=ROUNDING)
    assert variance == pytest.approx(1 / precision + 1 / rate_precision, rel=1e-9)


@given(lessons(), EXTREMES | st.floats(1e-6, 1e6))
def test_the_unit_of_costs_does_not_matter(frugality: ModuleType, lesson: Lesson, unit: float) -> None:
    mind, known = educated(frugality, lesson)
    shifted = [r._replace(time=r.time * unit, energy=r.energy * unit) for r in lesson.results]
    other, _ = educated(frugality, lesson._replace(results=shifted))
    if not lesson.results:
        return
    expected = mind.costs() + np.array([math.log(unit), 0.0])
    np.testing.assert_allclose(other.costs(), expected, rtol=1e-9, atol=1e-7)
    usable, number = all_usable(len(known)), 10**9
    saving, other_saving = (one.choose(number, 100.0, usable, stream_of(1)) for one in (mind, other))
    if saving[:2] != other_saving[:2]:
        assert is_close_call(lesson, known, number, usable)
    else:
        np.testing.assert_allclose(other_saving[4], saving[4] + math.log(unit), atol=1e-6)
        np.testing.assert_allclose(other_saving[2:4], np.array(saving[2:4]) * unit, rtol=1e-5)


def test_costs_of_nothing_are_finite(frugality: ModuleType) -> None:
    known = nothing_known(3)
    taught(knowing(frugality, range(3), known), [converged(0, 10.0, 1e3), converged(1, 9.0, 1e3)])
    known[:, Column.ENERGY] = 0.0
    known[1, Column.INHERITED_FROM] = 1.0
    mind = knowing(frugality, range(3), known)
    assert np.isfinite(mind.costs()).all()
    assert mind.choose(5, 100.0, all_usable(3), stream_of(1))[0] in range(3)
