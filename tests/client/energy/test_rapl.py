"""CPUs by real files in a tree as Linux shows it."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchbandit.energy.probes import Unavailable
from batchbandit.energy.rapl import find_rapl
from batchbandit.energy.sampling import Sampler

RANGE = 65_712_999_613


def zone(root: Path, place: str, name: str, **files: int) -> Path:
    folder = root / place
    folder.mkdir(parents=True)
    values: dict[str, object] = {"name": name, "energy_uj": 10**9, "max_energy_range_uj": RANGE, **files}
    for file, value in values.items():
        (folder / file).write_text(f"{value}\n")
    return folder


def add(folder: Path, joules: float) -> None:
    """Let a zone count, and wrap."""
    counter = folder / "energy_uj"
    counter.write_text(f"{(int(counter.read_text()) + round(joules * 1e6)) % RANGE}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two packages with DRAM, and what must not be counted beside them."""
    root = tmp_path / "sys"
    for package in (0, 1):
        zone(
            root,
            f"intel-rapl:{package}",
            f"package-{package}",
            constraint_0_max_power_uw=150_000_000,
            constraint_0_power_limit_uw=140_000_000,
            constraint_1_power_limit_uw=190_000_000,
            constraint_0_time_window_us=999_424,
        )
        zone(root, f"intel-rapl:{package}:0", "core")
        zone(root, f"intel-rapl:{package}:1", "dram", constraint_0_max_power_uw=0)
        zone(root, f"intel-rapl:{package}:2", "uncore")
    zone(root, "intel-rapl:2", "psys")
    zone(root, "intel-rapl-mmio:0", "package-0")
    (root / "intel-rapl").mkdir()
    return root


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(
        "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\n\nprocessor\t: 1\n"
    )
    return path


def meter_of(clock: Any, root: Path) -> Sampler:
    meter = Sampler(find_rapl(root=root, host="node").probes, clock=clock, threaded=False)
    meter.start()
    return meter


def test_packages_and_dram_are_devices_and_nothing_twice(root: Path, cpuinfo: Path) -> None:
    devices = [probe.device for probe in find_rapl(root=root, cpuinfo=cpuinfo, host="node").probes]
    assert [(device.identity, device.max_power) for device in devices] == [
        ("node/package-0", 150),
        ("node/package-0-dram", 0),
        ("node/package-1", 150),
        ("node/package-1-dram", 0),
    ]
    assert {device.model for device in devices} == {"Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz"}
    assert not any(device.is_gpu for device in devices)


def test_the_energies_are_added(root: Path, clock: Any) -> None:
    meter = meter_of(clock, root)
    for _ in range(10):
        clock.pass_by(1)
        add(root / "intel-rapl:0", 100)
        add(root / "intel-rapl:0:0", 90)
        add(root / "intel-rapl:0:1", 10)
        add(root / "intel-rapl:2", 300)
        meter.sample()
    energy = meter.read()
    assert energy.joules == pytest.approx(1100)
    assert energy.by_device["node/package-0"] == pytest.approx(1000)
    assert (energy.source, energy.flaw) == ("rapl", None)


def test_the_counter_wraps_many_times_and_no_joule_is_lost(root: Path, clock: Any) -> None:
    meter = meter_of(clock, root)
    for _ in range(400):
        clock.pass_by(5)
        add(root / "intel-rapl:1", 700)
        meter.sample()
    energy = meter.read()
    assert energy.by_device["node/package-1"] == pytest.approx(280_000)


def test_a_counter_that_was_not_watched_for_too_long_has_a_flaw(root: Path, clock: Any) -> None:
    meter = meter_of(clock, root)
    for part in ("0", "0:1", "1", "1:1"):
        add(root / f"intel-rapl:{part}", 70_000)
    clock.pass_by(600)
    energy = meter.read()
    assert energy.joules <= 4 * 70_000
    assert "600 s" in str(energy.flaw)


def test_a_zone_whose_file_goes_away_is_a_flaw_once_it_lasts(root: Path, clock: Any) -> None:
    meter = meter_of(clock, root)
    add(root / "intel-rapl:0", 100)
    clock.pass_by(1)
    assert meter.read().joules == pytest.approx(100)
    (root / "intel-rapl:0" / "energy_uj").unlink()
    clock.pass_by(10)
    energy = meter.read()
    assert energy.joules == pytest.approx(100)
    assert str(energy.flaw).startswith("node/package-0: Nothing measured it for 10 s")


def test_a_zone_that_has_never_counted_is_left_out(root: Path) -> None:
    (root / "intel-rapl:0:1" / "energy_uj").write_text("0\n")
    identities = [probe.device.identity for probe in find_rapl(root=root, host="node").probes]
    assert "node/package-0-dram" not in identities
    assert len(identities) == 3


def test_what_another_one_measures_is_left_out(root: Path) -> None:
    found = find_rapl(root=root, host="node", leave_out={"node/package-0", "node/package-1-dram"})
    assert [probe.device.identity for probe in found.probes] == ["node/package-0-dram", "node/package-1"]


def test_a_zone_without_limits_or_range_is_measured(tmp_path: Path) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", constraint_0_power_limit_uw=4_095_875_000)
    (folder / "max_energy_range_uj").unlink()
    probe = find_rapl(root=tmp_path, cpuinfo=tmp_path / "none").probes[0]
    assert (probe.device.max_power, probe.device.model) == (0, "CPU")
    assert (probe.range_joules, probe.limit_watts) == (None, 1000)


def test_files_that_only_root_may_read_are_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def refused(path: Path, *arguments: Any, **named: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")  # which root, who may run the tests, never meets
        return read_text(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(Unavailable, match="only root may read"):
        find_rapl(root=root)


def test_a_machine_without_rapl_has_none(tmp_path: Path) -> None:
    assert find_rapl(root=tmp_path / "none").is_present is False
    (tmp_path / "dtpm").mkdir()
    assert find_rapl(root=tmp_path).is_present is False
