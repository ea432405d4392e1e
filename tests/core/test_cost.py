"""The energy-time cost: its formula and its bounds."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cost import LARGEST_QUANTITY, cost_of, reported_cost
from core.errors import CostOutOfRange
from core.records import Job

MakeJob = Callable[..., Job]


@pytest.mark.parametrize(
    ("eta_knob", "cost"),
    [(0.0, 250.0 * 10.0), (1.0, 700.0), (0.5, 0.5 * 700.0 + 0.5 * 250.0 * 10.0), (0.25, 2050.0)],
)
def test_cost_weighs_energy_against_what_full_power_would_have_used(
    make_job: MakeJob, eta_knob: float, cost: float
) -> None:
    assert cost_of(make_job(eta_knob=eta_knob, max_power=250.0), time=10.0, energy=700.0) == cost


def test_the_highest_cost_counts_and_the_next_float_is_refused(make_job: MakeJob) -> None:
    assert reported_cost(make_job(), time=1.0, energy=LARGEST_QUANTITY) == LARGEST_QUANTITY
    with pytest.raises(CostOutOfRange, match=r"above 1e\+100 J.*check the units: seconds, joules, watts"):
        reported_cost(make_job(), time=1.0, energy=math.nextafter(LARGEST_QUANTITY, math.inf))


def test_a_cost_that_overflows_is_refused(make_job: MakeJob) -> None:
    with pytest.raises(CostOutOfRange, match=r"above 1e\+100 J"):
        reported_cost(make_job(eta_knob=0.5, max_power=1e308), time=1e308, energy=0.0)


def test_no_energy_with_eta_knob_1_is_refused_and_the_knob_is_named(make_job: MakeJob) -> None:
    with pytest.raises(CostOutOfRange, match=r"cost of 0 J with eta_knob 1\.0; .* eta_knob below 1"):
        reported_cost(make_job(eta_knob=1.0), time=10.0, energy=0.0)


def test_no_energy_is_a_cost_where_time_counts(make_job: MakeJob) -> None:
    assert reported_cost(make_job(eta_knob=0.5, max_power=250.0), time=2.0, energy=0.0) == 250.0


@settings(deadline=None, max_examples=200)
@given(
    eta_knob=st.floats(0, 1),
    max_power=st.floats(0, exclude_min=True, allow_infinity=False),
    time=st.floats(0, exclude_min=True, allow_infinity=False),
    energy=st.floats(0, allow_infinity=False),
)
def test_whatever_is_reported_makes_a_cost_in_bounds_or_a_refusal(
    make_job: MakeJob, eta_knob: float, max_power: float, time: float, energy: float
) -> None:
    job = make_job(eta_knob=eta_knob, max_power=max_power)
    try:
        cost = reported_cost(job, time, energy)
    except CostOutOfRange:
        assert not 0 < cost_of(job, time, energy) <= LARGEST_QUANTITY
    else:
        assert 0 < cost <= LARGEST_QUANTITY
