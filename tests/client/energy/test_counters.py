"""The tally of a device: every fault is told, and no joule is made up."""

from __future__ import annotations

import math
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from batchbandit.energy.counters import LONGEST_GAP_SECONDS, Bridge, Reading, Tally

LIMIT = 300.0


def tally_of(*readings: tuple[float, float | None, float | None], **more: object) -> Tally:
    tally = Tally(LIMIT, **more)  # type: ignore[arg-type]
    for reading in readings:
        tally.add(Reading(*reading))
    return tally


def faults(tally: Tally) -> set[str]:
    return {fault for fault, _ in tally.news}


def test_a_counter_that_grows_is_the_figure() -> None:
    tally = tally_of((0, 5000.0, 100.0), (1, 5100.0, 100.0), (50, 9000.0, 100.0))
    assert tally.joules == 4000
    assert (tally.flaw, tally.uses_power, tally.news) == (None, False, [])


def test_a_counter_that_wraps_goes_on_where_its_range_is_known() -> None:
    tally = tally_of((0, 65_000.0, None), (1, 65_100.0, None), (2, 50.0, None), range_joules=65_200.0)
    assert tally.joules == 250
    assert (tally.flaw, tally.news) == (None, [])


def test_a_counter_of_unknown_range_does_not_wrap() -> None:
    tally = tally_of((0, 65_000.0, None), (1, 65_100.0, None), (2, 50.0, None), (3, 60.0, None))
    assert tally.joules == 110
    assert "anew" in faults(tally)


def test_a_counter_unread_so_long_that_it_may_have_wrapped_twice_has_a_flaw() -> None:
    tally = tally_of((0, 1000.0, None), (500, 3000.0, None), range_joules=65_200.0)
    assert tally.joules == 2000  # of which alone is sure
    assert "500 s" in str(tally.flaw)


def test_a_counter_that_is_read_often_may_stand_still_and_still_wrap_but_once() -> None:
    readings = [(float(second), 65_000.0, 0.0) for second in range(500)]
    tally = tally_of(*readings, (500.0, 65_100.0, 0.0), (501.0, 100.0, 0.0), range_joules=65_200.0)
    assert tally.joules == 300
    assert tally.flaw is None


def test_a_step_back_is_told_and_counts_nothing_until_it_is_made_up_for() -> None:
    tally = tally_of((0, 1000.0, None), (1, 1100.0, None), (2, 1095.0, None))
    assert tally.joules == 100
    assert faults(tally) == {"backwards"}
    tally.add(Reading(3, 1099.0))
    assert tally.joules == 100
    tally.add(Reading(4, 1150.0))
    assert tally.joules == 150
    assert tally.flaw is None


def test_a_counter_that_begins_anew_is_bridged_by_power_samples() -> None:
    tally = tally_of((0, 90_000.0, 200.0), (1, 90_200.0, 200.0), (2, 10.0, 200.0))
    assert tally.is_suspicious
    assert tally.joules == 400
    tally.add(Reading(3, 210.0, 200.0))
    assert tally.joules == 600
    assert faults(tally) == {"implausible", "anew"}
    assert (tally.flaw, tally.uses_power) == (None, True)


def test_a_counter_that_begins_anew_long_after_it_was_last_read_has_a_flaw_without_power_samples() -> None:
    tally = tally_of((0, 90_000.0, None), (60, 10.0, None), (61, 40.0, None))
    assert tally.joules == 30
    assert "61 s" in str(tally.flaw)


def test_a_counter_that_begins_anew_all_the_time_has_a_flaw_without_power_samples() -> None:
    tally = tally_of(
        (0, 90_000.0, None), *((float(second), 10_000.0 * (second // 2), None) for second in range(1, 9))
    )
    assert tally.joules == 0
    assert "Nothing measured it" in str(tally.flaw)
    assert "unmeasured" in faults(tally)


def test_one_impossible_reading_among_good_ones_loses_nothing() -> None:
    tally = tally_of((0, 1000.0, 100.0), (1, 1100.0, 100.0), (2, 1e12, 100.0))
    assert tally.joules == 200
    tally.add(Reading(3, 1300.0, 100.0))
    assert tally.joules == 300
    assert faults(tally) == {"implausible"}
    assert (tally.flaw, tally.uses_power) == (None, False)


def test_a_jump_beyond_the_highest_power_is_not_counted() -> None:
    tally = tally_of((0, 1000.0, None), (1, 50_000.0, None), (2, 50_100.0, None))
    assert tally.joules == 100
    assert faults(tally) == {"implausible", "anew"}


def test_readings_that_failed_lose_nothing_when_the_counter_comes_back() -> None:
    tally = tally_of((0, 1000.0, None), (1, None, None), (60, None, None))
    assert tally.joules == 0
    assert "60 s" in str(tally.flaw)
    tally.add(Reading(61, 7000.0))
    assert tally.joules == 6000
    assert tally.flaw is None
    assert faults(tally) == {"unread", "unmeasured"}


def test_power_samples_stand_in_for_a_counter_that_cannot_be_read() -> None:
    tally = tally_of((0, 1000.0, 100.0), (1, None, 100.0), (2, None, 200.0))
    assert tally.joules == 250
    assert (tally.flaw, tally.uses_power) == (None, True)


def test_a_frozen_counter_is_bridged_by_power_samples() -> None:
    tally = tally_of((0, 1000.0, 100.0), *((float(second), 1100.0, 100.0) for second in range(1, 21)))
    assert tally.joules == 2000
    assert faults(tally) == {"frozen"}
    assert (tally.flaw, tally.uses_power, tally.is_bridged) == (None, True, True)


def test_a_frozen_counter_that_catches_up_is_not_counted_twice() -> None:
    still = [(float(second), 1000.0, 100.0) for second in range(21)]
    tally = tally_of(*still, (21.0, 3100.0, 100.0), (22.0, 3200.0, 100.0))
    assert tally.joules == 2200
    assert not tally.uses_power


def test_a_frozen_counter_that_has_not_counted_loses_nothing_that_power_samples_saw() -> None:
    still = [(float(second), 1000.0, 100.0) for second in range(21)]
    tally = tally_of(*still, (21.0, 1100.0, 100.0), (22.0, 1200.0, 100.0))
    assert tally.joules == 2200
    assert tally.uses_power


def test_a_frozen_counter_that_nothing_bridges_is_a_flaw() -> None:
    tally = tally_of(*((float(second), 1000.0, None) for second in range(41)))
    assert tally.joules == 0
    assert "40 s" in str(tally.flaw)
    tally.add(Reading(41, 1100.0))
    assert tally.joules == 100
    assert tally.flaw is not None  # nobody knows whether it had caught up


def test_a_device_that_is_asleep_is_not_frozen() -> None:
    tally = tally_of(*((float(second), 1000.0, 0.0) for second in range(100)))
    assert (tally.joules, tally.flaw, tally.news) == (0, None, [])


def test_power_samples_alone_are_integrated_by_the_trapezoid_rule() -> None:
    tally = tally_of((0, None, 100.0), (1, None, 200.0), (3, None, 0.0), has_counter=False)
    assert tally.joules == 350
    assert (tally.flaw, tally.news) == (None, [])


def test_a_gap_in_power_samples_is_left_out_and_is_a_flaw() -> None:
    tally = tally_of((0, None, 100.0), (1, None, 100.0), (61, None, 100.0), has_counter=False)
    assert tally.joules == 100
    assert "60 s" in str(tally.flaw)


def test_power_that_cannot_be_is_no_sample() -> None:
    odd = [math.nan, math.inf, -5.0, 3.7e12]
    tally = tally_of(
        (0, None, 100.0), *((1.0, None, watts) for watts in odd), (2, None, 100.0), has_counter=False
    )
    assert tally.joules == 200


def test_a_counter_that_is_no_number_is_a_reading_that_failed() -> None:
    tally = tally_of((0, 1000.0, None), *((1.0, odd, None) for odd in (math.nan, math.inf, -1.0)))
    assert tally.joules == 0
    assert faults(tally) == {"unread"}


def test_what_was_measured_before_a_device_is_lost_stays_and_has_a_flaw() -> None:
    tally = tally_of((0, 1000.0, 100.0), (1, 1100.0, 100.0))
    tally.lose("It is lost.")
    assert (tally.joules, tally.flaw) == (100, "It is lost.")


def test_a_bridge_begins_between_samples() -> None:
    bridge = Bridge()
    bridge.add(0, 0.0)
    bridge.begin(1)
    bridge.add(2, 200.0)
    assert bridge.joules == 150  # from 100 W at 1 s


class Step(NamedTuple):
    """What happens until the next reading, and what goes wrong with it."""

    seconds: float
    watts: float
    fault: str | None = None


# Not both at once: what a counter lags behind by when it begins anew, it and the samples may both count.
STANDING = (None, None, "unread", "back", "freeze", "thaw", "thaw late")
BREAKING = (None, None, "unread", "back", "reset", "slip high", "slip low")


def steps_with(faults: tuple[str | None, ...], longest: float) -> st.SearchStrategy[list[Step]]:
    seconds = st.sampled_from((0.0, 0.05, 0.1, 1.0, 3.0, longest))
    return st.lists(st.builds(Step, seconds, st.floats(0, LIMIT), st.sampled_from(faults)), max_size=60)


steps = steps_with(STANDING, 2 * LONGEST_GAP_SECONDS) | steps_with(BREAKING, LONGEST_GAP_SECONDS)


class Simulation:
    """A device that is read over some steps; ``drawn`` is the truth, with a power that changes linearly."""

    def __init__(self, tally: Tally, range_joules: float | None, *, has_samples: bool) -> None:
        self.tally = tally
        self.range = range_joules
        self.has_samples = has_samples
        self.now = self.drawn = self.watts = 0.0
        self.offset = 20_000.0
        self.frozen: float | None = None
        self.has_slipped = False
        self.read(None)

    def take(self, step: Step) -> None:
        """Let a step happen, and read."""
        self.now += step.seconds
        self.drawn += step.seconds * (self.watts + step.watts) / 2
        if step.seconds > 0:
            self.watts = step.watts
        self.read(step.fault)

    def read(self, fault: str | None) -> None:
        """Add a reading to the tally, with a fault."""
        if fault == "freeze":
            self.frozen = self.drawn if self.frozen is None else self.frozen
        elif fault in {"thaw", "thaw late"}:
            if fault == "thaw late" and self.frozen is not None:
                self.offset -= self.drawn - self.frozen
            self.frozen = None
        elif fault == "reset":
            self.offset = -self.drawn
            self.frozen = None
        elif fault == "back":
            self.offset = max(self.offset - LIMIT / 10, -self.drawn)
        counter = max((self.drawn if self.frozen is None else self.frozen) + self.offset, 0.0)
        if self.range is not None:
            counter %= self.range
        if fault in {"slip high", "slip low"} and (self.has_samples or not self.has_slipped):
            # Alone, a counter that says twice what is not so, and then long nothing, cannot be found out.
            slip = 1e15 if fault == "slip high" else 0.0
            counter = slip if abs(counter - slip) > 15_000 else counter
            self.has_slipped = True
        is_read = fault != "unread"
        sample = self.watts if self.has_samples else None
        self.tally.add(Reading(self.now, counter if is_read else None, sample))


@settings(deadline=None)  # the machine of the tests may be busy
@given(steps, st.booleans())
def test_no_fault_makes_up_a_joule_or_takes_one_back(taken: list[Step], has_samples: bool) -> None:
    tally = Tally(LIMIT)
    simulation = Simulation(tally, None, has_samples=has_samples)
    for step in taken:
        before = tally.joules
        simulation.take(step)
        assert tally.joules >= before >= 0
        assert tally.joules <= simulation.drawn * (1 + 1e-9) + 1e-6


@settings(deadline=None)
@given(steps)
def test_what_is_missing_without_a_flaw_is_a_few_seconds_of_power(taken: list[Step]) -> None:
    tally = Tally(LIMIT)
    simulation = Simulation(tally, None, has_samples=True)
    shorter = [step._replace(seconds=min(step.seconds, LONGEST_GAP_SECONDS)) for step in taken]
    backs = 0
    for step in shorter:
        backs += step.fault == "back"
        simulation.take(step)
        if tally.flaw is None:
            assert simulation.drawn - tally.joules <= LIMIT * (16 + 0.1 * backs)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, LIMIT)), max_size=100))
def test_a_counter_that_wraps_and_is_read_in_time_counts_every_joule(
    taken: list[tuple[float, float]],
) -> None:
    tally = Tally(LIMIT, range_joules=6000.0)
    simulation = Simulation(tally, 6000.0, has_samples=False)
    for seconds, watts in taken:
        simulation.take(Step(seconds, watts))
    assert math.isclose(tally.joules, simulation.drawn, rel_tol=1e-6, abs_tol=1e-3)
    assert tally.flaw is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(), st.none() | st.floats())))
def test_no_reading_at_all_breaks_a_tally(readings: list[tuple[float, float | None, float | None]]) -> None:
    tally = Tally(LIMIT, range_joules=65_000.0)
    now = before = 0.0
    for seconds, counter, watts in readings:
        now += seconds
        tally.add(Reading(now, counter, watts))
        assert math.isfinite(tally.joules)
        assert tally.joules >= before
        before = tally.joules
