"""What each policy loses: the tables."""

from pathlib import Path

from click.testing import CliRunner

from benchmarks.regret import CONDITIONS, main
from service.simulation.contenders import Contender
from service.simulation.families import Family


def test_the_tables_have_every_source_condition_and_policy(shared: Path) -> None:
    flags = ["--traces", str(shared / "traces"), "--seeds", "2", "--workers", "1"]
    printed = CliRunner().invoke(main, flags)
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    for source in ("recorded", *(family.value for family in Family)):
        for condition in CONDITIONS:
            assert sum(line.startswith(f"| {source}, {condition} |") for line in lines) == 1
    headings = " | ".join(contender.value for contender in Contender)
    assert f"| workload | {headings} |" in lines
    assert any(line.startswith("| in the kernels |") for line in lines)


def test_without_traces_it_says_so(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["--traces", str(tmp_path)])
    assert refused.exit_code == 1
    assert "summary_train.csv" in refused.output
