"""CPU packages and their DRAM, through the powercap files of Linux (RAPL).

Packages are measured, and DRAM beside them, as it is not in a package's figure. The zones of cores and uncore
are, and psys has all of them in it: they are not counted again. The counter wraps after as little as 65 kJ.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from batchbandit.energy.meters import Device
from batchbandit.energy.probes import Probes, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SOURCE = "rapl"
POWERCAP = Path("/sys/class/powercap")
CPUINFO = Path("/proc/cpuinfo")
LIMIT_WATTS = 1000.0
"""What no processor draws, where its files state no limit."""
NO_LIMIT_WATTS = 4000.0
"""A limit that high is all bits set, which says that there is none."""
_PACKAGE = re.compile(r"intel-rapl:\d+")


class RaplProbe:
    """Reads one zone."""

    counter_source: str | None = SOURCE
    power_source: str | None = None

    def __init__(self, zone: Path, device: Device, range_joules: float | None) -> None:
        self.device = device
        self.range_joules = range_joules
        self.limit_watts = max(_limits(zone), default=LIMIT_WATTS)
        self._counter = zone / "energy_uj"

    def joules(self) -> float:
        """Return the energy counter."""
        return int(self._counter.read_text()) / 1e6

    def watts(self) -> float:
        """Raise: RAPL tells no power."""
        raise NotImplementedError


def find_rapl(
    *,
    leave_out: Collection[str] = (),
    root: Path | None = None,
    cpuinfo: Path = CPUINFO,
    host: str | None = None,
) -> Probes:
    """Return the probes of the CPU packages and their DRAM that can be read.

    Raises:
        Unavailable: There are packages, and they cannot be read.
    """
    zones = list(_zones(root or POWERCAP))
    host = host or socket.gethostname()
    model = _model(cpuinfo)
    probes = []
    for zone, name in zones:
        try:
            counter = int((zone / "energy_uj").read_text())
        except PermissionError as error:
            raise Unavailable(f"only root may read {zone / 'energy_uj'}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"{zone / 'energy_uj'} cannot be read: {error}") from error
        device = Device(f"{host}/{name}", model, _max_power(zone), is_gpu=False)
        if counter > 0 and device.identity not in leave_out:  # one that is 0 has never counted
            probes.append(RaplProbe(zone, device, _range(zone)))
    return Probes(probes, is_present=bool(zones))


def _zones(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the zones that are counted, with their names."""
    if not root.is_dir():
        return
    packages = sorted(zone for zone in root.iterdir() if _PACKAGE.fullmatch(zone.name))
    for package in packages:
        name = _text(package / "name")
        if not name.startswith("package"):
            continue
        yield package, name
        for part in sorted(root.glob(f"{package.name}:*")):
            if _text(part / "name") == "dram":
                yield part, f"{name}-dram"


def _limits(zone: Path) -> list[float]:
    """Return the powers that a zone states as its highest, in watts."""
    stated = [_watts(path) for path in zone.glob("constraint_*_uw") if "power" in path.name]
    return [watts for watts in stated if 0 < watts < NO_LIMIT_WATTS]


def _max_power(zone: Path) -> float:
    """Return the power that a zone is made for, else its lasting limit, in watts; 0 where none is stated."""
    for name in ("constraint_0_max_power_uw", "constraint_0_power_limit_uw"):
        watts = _watts(zone / name)
        if 0 < watts < NO_LIMIT_WATTS:
            return watts
    return 0.0


def _range(zone: Path) -> float | None:
    try:
        return int((zone / "max_energy_range_uj").read_text()) / 1e6 or None
    except (OSError, ValueError):
        return None


def _watts(path: Path) -> float:
    try:
        return int(path.read_text()) / 1e6
    except (OSError, ValueError):
        return 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _model(cpuinfo: Path) -> str:
    for line in _text(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return "CPU"
