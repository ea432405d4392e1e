"""The slider shows at each step what core would choose there."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from msgspec.structs import replace

from core.cost import cost_of
from core.front import choices_over_eta
from service.dashboard.eta import STEPS, eta_view, spots_of
from tests.service.dashboard.histories import History, few, histories, view_of


@few
@given(histories())
def test_each_step_chooses_the_batch_size_of_least_cost(history: History) -> None:
    job = view_of(history)
    spots = spots_of(job)
    view = eta_view(job, spots, 0.25)
    if view is None:
        assert not spots
        return
    assert len(view.choices) == STEPS + 1
    for step, choice in enumerate(view.choices):
        terms = replace(job.specification, eta_knob=step / STEPS)
        costs = {spot.batch_size: cost_of(terms, spot.time, spot.energy) for spot in spots}
        assert costs[choice.batch_size] == pytest.approx(min(costs.values()), rel=1e-9)
    assert view.chosen == view.choices[25]


@few
@given(histories())
def test_more_eta_never_chooses_more_energy(history: History) -> None:
    job = view_of(history)
    spots = spots_of(job)
    energies = {spot.batch_size: spot.energy for spot in spots}
    view = eta_view(job, spots, 0.5)
    chosen = [energies[choice.batch_size] for choice in view.choices] if view else []
    assert all(one >= other for one, other in pairwise(chosen))
    assert {choice.batch_size for choice in (view.choices if view else ())} <= {
        segment.batch_size for segment in choices_over_eta(spots, job.specification.max_power)
    }


@few
@given(histories())
def test_the_script_reads_the_same_choices(history: History) -> None:
    job = view_of(history)
    view = eta_view(job, spots_of(job), 0.5)
    if view is not None:
        assert json.loads(view.encoded)[50] == [
            view.chosen.batch_size,
            view.chosen.time,
            view.chosen.energy,
            view.chosen.cost,
        ]
