"""Jobs that recur: in the kernels as in core, to the last bit, and several trainings at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.kernels import recurrences, recurring_grid, recurring_zeus
from core.kernels.twins.stream import generator
from service.simulation.contenders import Contender, stories
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.scenarios import Scenario, Terms, drifting, steady
from service.simulation.trainings import chances, drawn, read
from service.simulation.workloads import Goal, Run, Workload
from tests.service.simulation.drawing import in_python, same, scenarios


@settings(max_examples=100, deadline=None)
@given(scenario=scenarios(), seed=st.integers(0, 2**32))
@pytest.mark.parametrize("contender", [Contender.ZEUS, Contender.GRID, Contender.DEFAULT])
def test_the_kernels_decide_as_core_does(contender: Contender, scenario: Scenario, seed: int) -> None:
    for told, number in zip(stories(contender, scenario, [seed, 7]), [seed, 7], strict=True):
        assert same(told, in_python(contender, scenario, number))


def test_an_arm_of_more_results_than_the_kernel_plays_is_played_by_core() -> None:
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble())
    scenario = steady(workload, 300, 1, Terms())
    [told] = stories(Contender.ZEUS, scenario, [1])
    assert len(told.trainings) >= 300
    assert np.bincount(told.trainings["size"]).max() > 256
    assert same(told, in_python(Contender.ZEUS, scenario, 1))


def test_a_training_is_the_same_whatever_was_trained_before_it() -> None:
    [workload] = synthetic(Family.RAGGED, 3, 1, Trouble(unsteady=0.3))
    scenario = steady(workload, 60, 1, Terms(beta_knob=None))
    told = {each: stories(each, scenario, [5])[0].trainings for each in Contender}
    best = workload.batch_sizes.index(workload.best_batch_size(0.5))
    rows = [trainings[trainings["size"] == best] for trainings in told.values()]
    for row in rows:
        shared = min(len(row), len(rows[0]))
        assert (
            row[:shared][["epochs", "time", "energy"]] == rows[0][:shared][["epochs", "time", "energy"]]
        ).all()
    assert sum(len(row) > 20 for row in rows) >= 2


def test_seeds_batch_sizes_and_workloads_have_chances_of_their_own() -> None:
    first, second = synthetic(Family.VALLEY, 0, 2, Trouble())
    streams = [*chances(first, [0, 1]).reshape(-1, 6), *chances(second, [0, 1]).reshape(-1, 6)]
    assert len({row.tobytes() for row in streams}) == len(streams)
    [alone] = chances(replace(first, runs=dict(list(first.runs.items())[2:])), [1])
    assert (alone == chances(first, [1])[0, 2:]).all()


def test_noise_leaves_the_average_where_it_is() -> None:
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble(noise=0.1))
    rng = np.random.default_rng(1)
    size = workload.default_batch_size
    times = [drawn(workload, size, rng).epoch_time for _ in range(4000)]
    expected = workload.runs[size][0].epoch_time
    assert np.mean(times) == pytest.approx(expected, rel=0.01)
    assert np.std(times) == pytest.approx(0.1 * expected, rel=0.1)


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("failures", [0.0, 0.4])
def test_expected_spending_is_what_trainings_take_on_average(failures: float, concurrency: int) -> None:
    [workload] = synthetic(Family.VALLEY, 3, 1, Trouble(unsteady=0.4))
    unsteady = next(
        size
        for size, runs in workload.runs.items()
        if {workload.goal.epochs(run.curve) is None for run in runs} == {True, False}
    )
    workload = replace(workload, failures=failures, default_batch_size=unsteady)
    scenario = steady(workload, 2_000, concurrency, Terms())
    [told] = (story.trainings for story in stories(Contender.DEFAULT, scenario, [0]))
    expected = scenario.before.expected(unsteady)
    assert told["energy"].sum() / 2_000 == pytest.approx(expected.energy, rel=0.05)
    assert told["time"].sum() / 2_000 == pytest.approx(expected.time, rel=0.05)


@pytest.mark.parametrize("concurrency", [2, 16])
@pytest.mark.parametrize("contender", [Contender.ZEUS, Contender.GRID])
def test_several_trainings_at_a_time_come_to_as_many_recurrences(
    contender: Contender, concurrency: int
) -> None:
    [workload] = synthetic(Family.VALLEY, 1, 1, Trouble(unsteady=0.2))
    scenario = steady(replace(workload, failures=0.1), 60, concurrency, Terms())
    [told] = stories(contender, scenario, [3])
    assert not told.is_stuck
    reached = told.trainings[told.trainings["converged"] == 1]
    assert sorted(reached["recurrence"]) == list(range(60))


def test_trainings_side_by_side_do_not_know_of_each_other_until_one_reports() -> None:
    run = Run(10.0, 1000.0, (0.0, 1.0))
    workload = Workload(
        name="twins", goal=Goal(0.5, 2), default_batch_size=8, max_power=100.0, runs={8: [run], 16: [run]}
    )
    alone, beside = (stories(Contender.ZEUS, steady(workload, 4, k, Terms()), [0])[0] for k in (1, 4))
    assert set(alone.trainings["size"]) == {0, 1}
    assert set(beside.trainings["size"]) == {0}  # while the default is explored, others take it too


def test_after_a_drift_the_best_batch_size_is_dearer_than_another_by_what_was_asked() -> None:
    for family in Family:
        for workload in synthetic(family, 0, 3, Trouble()):
            before = steady(workload, 100, 1, Terms())
            scenario = drifting(before, 50, 0.3)
            best = workload.best_batch_size(0.5)
            then = scenario.after.best_batch_size(0.5)
            usual = workload.expected_cost(best, 0.5)
            assert scenario.after.expected_cost(then, 0.5) == pytest.approx(usual)
            assert scenario.after.expected_cost(best, 0.5) >= 1.3 * usual * (1 - 1e-9)
            assert [n for _, n in scenario.phases()] == [50, 50]


def test_the_oracle_knows_when_costs_move() -> None:
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble())
    scenario = drifting(steady(workload, 40, 1, Terms()), 15, 0.5)
    [told] = stories(Contender.ORACLE, scenario, [0])
    sizes = [workload.batch_sizes[size] for size in told.trainings["size"]]
    assert sizes == [workload.best_batch_size(0.5)] * 15 + [scenario.after.best_batch_size(0.5)] * 25
    assert told.trainings["recurrence"].tolist() == list(range(40))


def arguments() -> dict[str, Any]:
    """Return two jobs of three batch sizes to play."""
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble())
    trainings = read(workload, 0.5)
    return {
        "before": trainings,
        "after": trainings,
        "change": 5,
        "chances": chances(workload, [0, 1]),
        "streams": np.ones((2, 6), dtype=np.uint64),
        "recurrences": 5,
    }


ZEUS: dict[str, Any] = {
    "default": 0,
    "beta": 2.0,
    "rounds": 2,
    "explorations": 2,
    "window": 0,
    "prior_mean": 0.0,
    "prior_precision": 0.0,
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("chances", lambda good: good[:1], "a row a job and batch size"),
        ("chances", lambda good: good[:, :1].copy(), "a row a job and batch size"),
        ("streams", lambda good: good[:, :5].copy(), "6 columns"),
        ("recurrences", lambda _: -1, "at least 0"),
        ("after", lambda _: read(synthetic(Family.MANY, 0, 1, Trouble())[0], 0.5), "of the same batch sizes"),
        ("default", lambda _: -1, "index of a batch size"),
        ("beta", lambda _: math.nan, "beta above 0"),
        ("rounds", lambda _: -1, "at least 0"),
        ("sizes", lambda _: np.array([], dtype=np.int64), "at least one"),
        ("sizes", lambda _: np.array([1000]), "indices of batch sizes"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Callable[[Any], Any], said: str) -> None:
    good = arguments() | ({"sizes": np.array([0])} if name == "sizes" else ZEUS)
    play: Callable[..., object] = recurring_grid.play if name == "sizes" else recurring_zeus.play
    play(**good)
    with pytest.raises(ValueError, match=said):
        play(**good | {name: value(good[name])})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offsets", np.array([0, 1])),
        ("offsets", np.array([0, 0, 2])),
        ("offsets", np.array([0, 3, 2])),
        ("times", np.ones(3)),
        ("energies", np.ones(1)),
        ("lengths", np.array([1, 4])),
        ("lengths", np.array([0, 1])),
        ("curves", np.ones((3, 3))),
        ("noise", -0.1),
    ],
)
def test_runs_that_do_not_fit_each_other_are_refused(name: str, value: object) -> None:
    good: dict[str, Any] = {
        "offsets": np.array([0, 1, 2]),
        "times": np.ones(2),
        "energies": np.ones(2),
        "lengths": np.array([1, 3]),
        "curves": np.ones((2, 3)),
        "target": 0.5,
        "is_higher_better": True,
        "noise": 0.0,
        "eta": 0.5,
        "max_power": 100.0,
    }
    recurrences.Trainings(**good)
    with pytest.raises(ValueError, match=r"must|needs"):
        recurrences.Trainings(**good | {name: value})


def test_the_stream_of_a_batch_size_is_one_of_numpys() -> None:
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble())
    rng = generator(chances(workload, [0])[0, 0])
    assert {int(rng.integers(20)) for _ in range(400)} == set(range(20))
