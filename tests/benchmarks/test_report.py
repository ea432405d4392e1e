"""The report: every section measures for real, if briefly."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.effort import QUICK
from benchmarks.report import SECTIONS, write

BRIEF = replace(
    QUICK,
    seconds=0.5,
    warmup=0.05,
    connections=(1,),
    replicas=(1, 2),
    lengths=(10, 300),
    pairs=20,
    memory=(20, 40),
)


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in {"kernels", "replicas"}])
def test_a_section_writes_its_table_its_data_and_its_picture(tmp_path: Path, section: str) -> None:
    write(tmp_path, [section], BRIEF)
    text = (tmp_path / "report.md").read_text()
    assert "\n## " in text
    assert "| --- |" in text
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["machine"]["cores"] >= 1
    assert data[section]
    picture = tmp_path / f"{section}.svg"
    assert f"({picture.name})" in text
    assert "<svg" in picture.read_text()


def test_no_acknowledgement_of_the_replicas_is_lost_or_doubled(tmp_path: Path) -> None:
    write(tmp_path, ["replicas"], BRIEF)
    found = json.loads((tmp_path / "report.json").read_text())["replicas"]
    assert {(each["lost"], each["doubled"]) for each in found} == {(0, 0)}
    assert min(each["acknowledged"] for each in found) > 10
