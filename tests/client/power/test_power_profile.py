"""Which limits are tried, what they cost, and which is kept."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchbandit.power_profile import (
    LEAST_STEP,
    MEMORY_SECONDS,
    MOST_STEPS,
    Measured,
    Memory,
    Profile,
    Stretch,
    cost_of_step,
    limits_between,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

watts = st.floats(50, 1500)
etas = st.floats(0, 1)
speeds = st.floats(0.01, 1e4)
T = TypeVar("T")


def pairs(values: list[T]) -> list[tuple[T, T]]:
    """Return each value with the one after it."""
    return [(values[n], values[n + 1]) for n in range(len(values) - 1)]


@given(watts, watts)
@example(112.75789673135803, 312.757896731358)
def test_limits_go_down_from_the_highest_and_stay_allowed(one: float, other: float) -> None:
    lowest, highest = sorted((one, other))
    limits = limits_between(lowest, highest)
    assert limits[0] == highest
    assert limits[-1] >= lowest
    assert len(limits) <= MOST_STEPS + 1
    gaps = {round(above - below, 6) for above, below in pairs(limits)}
    assert len(gaps) <= 1
    assert all(gap >= LEAST_STEP for gap in gaps)
    assert limits[-1] - lowest < (gaps.pop() if gaps else LEAST_STEP) + 1e-6  # none more would be allowed


@pytest.mark.parametrize(
    ("lowest", "highest", "limits"),
    [
        (100, 250, [250, 225, 200, 175, 150, 125, 100]),
        (100, 300, [300, 275, 250, 225, 200, 175, 150, 125, 100]),
        (200, 700, [700, 635, 570, 505, 440, 375, 310, 245]),
        (100, 124, [124]),
        (150, 100, [100]),
    ],
)
def test_limits_of_known_gpus(lowest: float, highest: float, limits: list[float]) -> None:
    assert limits_between(lowest, highest) == limits


@given(etas, watts, speeds, watts, st.integers(1, 10**6))
def test_the_cost_of_the_steps_is_that_of_the_training(
    eta: float, max_power: float, throughput: float, power: float, steps: int
) -> None:
    seconds = steps / throughput
    cost = eta * power * seconds + (1 - eta) * max_power * seconds
    assert steps * cost_of_step(Measured(200, throughput, power), eta, max_power) == pytest.approx(cost)


def walk(found: Sequence[tuple[float, float]], eta: float, max_power: float) -> Profile:
    """Profile limits at which this throughput and power are found."""
    profile = Profile([1000.0 - 10 * number for number in range(len(found))], eta, max_power)
    while not profile.is_over:
        profile.note(*found[len(profile.measured)])
    return profile


def costs_of(profile: Profile, eta: float, max_power: float) -> list[float]:
    return [cost_of_step(each, eta, max_power) for each in profile.measured]


@given(st.lists(st.tuples(speeds, watts), min_size=1, max_size=12), etas, watts)
def test_the_cheapest_of_what_was_measured_is_kept(
    found: list[tuple[float, float]], eta: float, max_power: float
) -> None:
    profile = walk(found, eta, max_power)
    costs = costs_of(profile, eta, max_power)
    assert profile.cheapest == profile.measured[costs.index(min(costs))].limit


@given(st.lists(st.tuples(speeds, watts), min_size=1, max_size=12), etas, watts)
def test_a_walk_ends_with_the_second_rise_in_a_row_and_not_before(
    found: list[tuple[float, float]], eta: float, max_power: float
) -> None:
    costs = costs_of(walk(found, eta, max_power), eta, max_power)
    rises = [above > below for below, above in pairs(costs)]
    twice = [one and other for one, other in pairs(rises)]
    assert not any(twice[:-1])
    assert len(costs) == len(found) or twice[-1]


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.data())
def test_where_the_cost_has_one_valley_its_bottom_is_found(
    size: tuple[int, int], data: st.DataObject
) -> None:
    count, bottom = size
    steps = data.draw(st.lists(st.floats(0.01, 10), min_size=count, max_size=count))
    costs = [100 + sum(steps[min(n, bottom) : max(n, bottom)]) for n in range(count)]
    profile = walk([(1.0, cost) for cost in costs], 1.0, 300.0)
    assert profile.cheapest == 1000.0 - 10 * bottom
    assert len(profile.measured) == min(count, bottom + 3)


class Bench:
    """A clock and a meter for steps of one second and 100 J each."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.reads = 0

    def read(self) -> tuple[float, float]:
        """Return seconds and joules."""
        self.reads += 1
        return self.seconds, 100 * self.seconds


calls = st.lists(st.sampled_from(["step", "step", "step", "step", "pause", "report"]), max_size=200)


@given(calls, st.integers(1, 40))
def test_a_stretch_is_made_of_steps_alone(calls: list[str], due: int) -> None:
    bench = Bench()
    stretch = Stretch(bench.read, due)
    for call in calls:
        if call == "step":
            bench.seconds += 1
            if stretch.step():
                assert stretch.steps == due
                break
        elif call == "pause":
            stretch.pause()
            bench.seconds += 1000  # a validation
        else:
            bench.seconds += 1000
            stretch.drop()
    assert stretch.seconds == stretch.steps
    assert stretch.joules == 100 * stretch.steps
    assert stretch.steps <= due


@given(st.integers(2, 500))
def test_an_epoch_whose_end_is_told_late_loses_half_its_steps_at_most(steps: int) -> None:
    bench = Bench()
    stretch = Stretch(bench.read, 1000)
    for _ in range(steps):
        bench.seconds += 1
        stretch.step()
    bench.seconds += 1000
    stretch.drop()
    assert stretch.steps >= (steps - 1) / 2
    assert bench.reads <= 2 + math.log2(steps)


QUESTION = {"job_id": "job", "batch_size": 64, "limits": [250.0, 200.0], "gpus": [["V100"]]}
FOUND = [Measured(250, 10.0, 240.0), Measured(200, 9.0, 200.0)]


def test_what_was_found_is_remembered_for_its_question_alone(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "new" / "folder", QUESTION)
    assert memory.recall(1000.0) is None
    memory.keep(200.0, FOUND, 1000.0)
    assert memory.recall(1000.0) == 200
    other = Memory(tmp_path / "new" / "folder", {**QUESTION, "batch_size": 128})
    assert other.recall(1000.0) is None
    other.keep(250.0, FOUND, 1000.0)
    assert memory.recall(1001.0) == 200


def test_what_was_found_too_long_ago_or_later_is_not_believed(tmp_path: Path) -> None:
    memory = Memory(tmp_path, QUESTION)
    memory.keep(200.0, FOUND, 1000.0)
    assert memory.recall(1000.0 + MEMORY_SECONDS) == 200
    assert memory.recall(1001.0 + MEMORY_SECONDS) is None
    assert memory.recall(999.0) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "soon"}', "\udcff", "null"])
def test_a_file_of_something_else_is_not_believed(tmp_path: Path, text: str) -> None:
    memory = Memory(tmp_path, QUESTION)
    memory.keep(200.0, FOUND, 1000.0)
    (file,) = tmp_path.iterdir()
    file.write_text(text, errors="surrogateescape")
    assert memory.recall(1000.0) is None


def test_a_limit_that_is_not_allowed_is_not_believed(tmp_path: Path) -> None:
    memory = Memory(tmp_path, QUESTION)
    memory.keep(200.0, FOUND, 1000.0)
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "limit": 500.0}))
    assert memory.recall(1000.0) is None
