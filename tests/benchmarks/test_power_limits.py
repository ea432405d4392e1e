"""What the client's power limit is worth on the recorded trainings."""

from pathlib import Path
from statistics import mean

import pytest
from click.testing import CliRunner

from benchmarks.power_limits import ETAS, main, savings


def test_a_limit_is_worth_about_15_percent_of_the_energy(shared: Path) -> None:
    saved = savings(shared / "traces", 0.5)
    assert len(saved) == 12
    assert -0.17 < mean(saving.energy for saving in saved) < -0.13
    assert mean(saving.cost for saving in saved) < -0.03
    assert mean(saving.first_energy for saving in saved) < -0.12


@pytest.mark.parametrize("eta", ETAS)
def test_no_training_costs_more_and_the_walk_misses_little(shared: Path, eta: float) -> None:
    for saving in savings(shared / "traces", eta):
        assert saving.cost <= 0
        assert 0 <= saving.missed < 0.05
        assert saving.tried >= 3


def test_the_tables_are_printed(shared: Path) -> None:
    printed = CliRunner().invoke(main, [str(shared / "traces")])
    assert printed.exit_code == 0
    assert printed.output.count("| mean |") == len(ETAS)


def test_without_traces_it_says_so(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, [str(tmp_path)])
    assert refused.exit_code == 1
    assert "summary_train.csv" in refused.output
