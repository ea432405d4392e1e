"""What each policy loses: the report."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import misleading
from benchmarks.misleading import FAMILIES, misled
from benchmarks.recovery import recovery
from benchmarks.regret import CONDITIONS, main
from benchmarks.settings import defaults_of, easier
from core.kernels.recurrences import TRIAL
from service.simulation.contenders import Contender
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.recurrences import Story
from service.simulation.scenarios import Terms, drifting, steady
from service.simulation.sources import Conditions, Source, scenarios_of

FEW = ("dataset", "sentiment140", "squad")
"""What lines begin with of the recordings that are played."""


@pytest.fixture
def traces(shared: Path, tmp_path: Path) -> Path:
    """Return a folder with two of the recorded workloads."""
    for file in (shared / "traces").glob("*.csv"):
        lines = file.read_text().splitlines(keepends=True)
        (tmp_path / file.name).write_text("".join(line for line in lines if line.startswith(FEW)))
    return tmp_path


def test_the_report_has_every_source_condition_policy_and_family(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misleading, "DRAWS", 1)
    flags = ["--traces", str(traces), "--seeds", "2", "--workers", "1", "--workloads", "1"]
    printed = CliRunner().invoke(main, flags)
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    for source in ("recorded", *(family.value for family in Family)):
        for condition in CONDITIONS:
            assert sum(line.startswith(f"| {source}, {condition} |") for line in lines) == 1
    headings = " | ".join(contender.value for contender in Contender)
    assert f"| workload | {headings} |" in lines
    for family in (*FAMILIES, "unrelated"):
        assert sum(line.startswith(f"| {family} |") for line in lines) >= 1
    for policy in (Contender.ZEUS, Contender.FRUGAL):
        assert any(line.startswith(f"| {policy} in the kernels |") for line in lines)


def test_without_traces_it_says_so(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["--traces", str(tmp_path)])
    assert refused.exit_code == 1
    assert "summary_train.csv" in refused.output


def test_no_family_of_sources_misleads(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misleading, "DRAWS", 2)
    scenarios, _ = scenarios_of(Source(file=shared / "traces"), Conditions())
    for each in misled(scenarios, 20, 1):
        assert each.ratio is not None
        assert each.ratio.high is not None
        assert each.ratio.high <= misleading.JUDGED, each.family
        if each.family == "good":
            assert each.ratio.high < 0.99


def test_what_misleads_is_another_workload_than_what_does_not() -> None:
    [workload] = synthetic(Family.VALLEY, 0, 1, Trouble())
    scenario = steady(workload, 100, 1, Terms())
    good = FAMILIES["good"](scenario, 0)
    sizes = workload.batch_sizes
    costs = {size: good.expected_cost(size, 0.5) for size in sizes}
    for family, misleads in FAMILIES.items():
        made = misleads(scenario, 0)
        assert made.batch_sizes == sizes
        assert (made == good) == (family == "good")
    backwards = FAMILIES["reversed"](scenario, 0)
    assert [backwards.expected_cost(size, 0.5) for size in sizes] == list(reversed(costs.values()))
    finite = [size for size in sizes if np.isfinite(costs[size])]
    inverted = FAMILIES["inverted"](scenario, 0)
    assert sorted(finite, key=lambda size: inverted.expected_cost(size, 0.5)) == sorted(
        finite, key=lambda size: -costs[size]
    )
    flat = FAMILIES["flat"](scenario, 0)
    assert np.ptp([flat.expected_cost(size, 0.5) for size in finite]) < 1e-6 * costs[finite[0]]


def test_a_job_has_recovered_with_the_first_of_three_recurrences_near_the_best() -> None:
    [workload] = synthetic(Family.STEEP, 0, 1, Trouble())
    scenario = drifting(steady(workload, 8, 1, Terms()), 2, 0.3)
    best = workload.batch_sizes.index(scenario.after.best_batch_size(0.5))
    old = workload.batch_sizes.index(workload.best_batch_size(0.5))

    def told(sizes: list[int]) -> Story:
        rows = [(number, size, 9, 1.0, 1.0, 1, 9) for number, size in enumerate(sizes)]
        return Story(np.array(rows, dtype=TRIAL), is_stuck=False)

    assert recovery(scenario, told([old, old, old, best, best, old, best, best])) == np.inf
    assert recovery(scenario, told([best, best, old, old, old, best, best, best])) == 3
    assert recovery(scenario, told([old, old, best, best, best, old, old, old])) == 0


def test_other_defaults_always_converge_and_other_targets_are_reached_earlier(shared: Path) -> None:
    scenarios, _ = scenarios_of(Source(file=shared / "traces"), Conditions())
    for scenario in scenarios:
        workload = scenario.before
        for other in defaults_of(workload):
            assert np.isfinite(other.expected_cost(other.default_batch_size, 0.5))
        lower = easier(workload, 1)
        for runs in workload.runs.values():
            for run in runs:
                assert (lower.goal.epochs(run.curve) or np.inf) <= (workload.goal.epochs(run.curve) or np.inf)
