"""Policy ``frugal`` in bulk: its kernel decides as core does, to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.kernels import recurring_frugal
from core.kernels.frugality import MOST_SIZES
from core.needs import MOST_TRIALS
from core.policies.inheritance import shown
from core.records import Policy
from service.simulation.beginnings import EARLIER, elsewhere, precedent_in_memory, source_of
from service.simulation.contenders import Contender, precedents, stories
from service.simulation.deciders import InMemory
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.playing import Piece, play
from service.simulation.recurrences import story_of
from service.simulation.scenarios import Scenario, Terms, drifting, steady
from service.simulation.sources import Conditions, Source, scenarios_of
from service.simulation.trainings import chances, read
from service.simulation.workloads import Goal, Run, Workload
from tests.service.simulation.drawing import in_python, same, scenarios, wide_scenarios


@pytest.mark.parametrize("contender", [Contender.FRUGAL, Contender.FRUGAL_WARM])
@settings(max_examples=60, deadline=None)
@given(scenario=scenarios() | wide_scenarios(), seed=st.integers(0, 2**32))
def test_the_kernel_decides_as_core_does(contender: Contender, scenario: Scenario, seed: int) -> None:
    for told, number in zip(stories(contender, scenario, [seed, 7]), [seed, 7], strict=True):
        assert same(told, in_python(contender, scenario, number))


@settings(max_examples=40, deadline=None)
@given(scenario=scenarios() | wide_scenarios(), seed=st.integers(0, 2**32))
def test_a_job_played_in_bulk_is_the_precedent_that_it_is_in_core(scenario: Scenario, seed: int) -> None:
    [known] = precedents(scenario, [seed])
    source = source_of(scenario)
    decider = InMemory(source, Policy.FRUGAL, seed + EARLIER)
    story_of(decider, source, chances(source.before, [seed + EARLIER])[0])
    assert shown(known) == shown(precedent_in_memory(decider))
    assert len(known.trials) == min(len(decider.pipeline.trials), MOST_TRIALS)


def test_a_job_begins_with_the_same_workload_on_the_next_gpu(tmp_path: Path, shared: Path) -> None:
    for file in (shared / "traces").glob("*.csv"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "summary_power_h100.csv").write_text((tmp_path / "summary_power_v100.csv").read_text())
    scenarios, _ = scenarios_of(Source(file=tmp_path), Conditions(failures=0.2))
    pairs = {(each.before.gpu, each.earlier.gpu) for each in scenarios if each.earlier is not None}
    assert pairs == {("A40", "H100"), ("H100", "V100"), ("V100", "A40")}
    assert all(each.earlier is not None and each.earlier.name == each.before.name for each in scenarios)
    assert all(each.earlier is not None and each.earlier.failures == 0.2 for each in scenarios)


@pytest.mark.parametrize("family", Family)
def test_another_gpu_is_one_at_which_nothing_costs_the_same_and_everything_learns_the_same(
    family: Family,
) -> None:
    for workload in synthetic(family, 0, 3, Trouble()):
        other = elsewhere(workload)
        assert other == elsewhere(workload)
        assert (other.title, other.max_power) != (workload.title, workload.max_power)
        for size, runs in workload.runs.items():
            for run, moved in zip(runs, other.runs[size], strict=True):
                assert moved.curve == run.curve
                assert moved.epoch_time != run.epoch_time
                assert 0 < moved.epoch_energy / moved.epoch_time < 1.2 * other.max_power


def test_what_another_gpu_has_shown_saves_exploring() -> None:
    ratios = []
    for workload in synthetic(Family.VALLEY, 0, 3, Trouble()):
        scenario = steady(workload, 100, 1, Terms())
        cold, warm = (
            play(Piece(scenario, each, range(40))).regret().mean()
            for each in (Contender.FRUGAL, Contender.FRUGAL_WARM)
        )
        ratios.append(warm / cold)
    assert np.mean(ratios) < 0.97


@pytest.mark.parametrize("family", Family)
def test_the_kernel_starts_anew_where_core_does(family: Family) -> None:
    [workload] = synthetic(family, 1, 1, Trouble(unsteady=0.2))
    scenario = drifting(steady(workload, 100, 1, Terms()), 50, 1.0)
    [told] = stories(Contender.FRUGAL, scenario, [2])
    decider = InMemory(scenario, Policy.FRUGAL, 2)
    assert same(told, story_of(decider, scenario, chances(workload, [2])[0]))
    assert decider.pipeline.job.num_drifts > 0


def flat(count: int, epochs: int) -> Workload:
    """Return a workload of so many batch sizes that all learn slowly and cost the same."""
    curve = tuple(epoch / epochs for epoch in range(1, epochs + 1))
    return Workload(
        name="flat",
        goal=Goal(0.9, epochs),
        default_batch_size=8,
        max_power=100.0,
        noise=0.05,
        runs={size: [Run(1.0, 70.0, curve)] for size in range(1, count + 1)},
    )


@pytest.mark.parametrize(("count", "epochs"), [(MOST_SIZES + 1, 10), (8, 300)])
def test_what_core_thins_out_is_played_by_core(count: int, epochs: int) -> None:
    scenario = steady(flat(count, epochs), 20, 1, Terms())
    [told] = stories(Contender.FRUGAL, scenario, [1])
    assert same(told, in_python(Contender.FRUGAL, scenario, 1))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("default", 8, "index of a batch size"),
        ("positions", np.zeros(7), "an element a batch size"),
        ("inherited", np.zeros((2, 7, 5)), "a row a job and batch size"),
        ("rounds", 0, "at least 1"),
        ("beta", float("nan"), "beta above 0"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object, said: str) -> None:
    workload = flat(8, 10)
    trainings = read(workload, 0.5)
    good: dict[str, Any] = {
        "before": trainings,
        "after": trainings,
        "change": 5,
        "chances": chances(workload, [0, 1]),
        "streams": np.ones((2, 6), dtype=np.uint64),
        "recurrences": 5,
        "positions": np.log2(np.array(workload.batch_sizes, dtype=np.float64)),
        "inherited": None,
        "default": 0,
        "beta": 2.0,
        "rounds": 1,
    }
    recurring_frugal.play(**good)
    with pytest.raises(ValueError, match=said):
        recurring_frugal.play(**good | {name: value})
