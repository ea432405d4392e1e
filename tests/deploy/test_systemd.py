"""The unit is what systemd takes, and confined."""

import re
import subprocess
from pathlib import Path

import pytest

from service.serving import SHUTDOWN_SECONDS
from tests.deploy.programs import DEPLOY, program, said

UNIT = DEPLOY / "systemd" / "batchbandit.service"
MOST_EXPOSURE = 12
"""Tenths, of 100: without a private network, which a server cannot have, there is no less than 10."""


def verified(unit: str, folder: Path) -> str:
    """Return what systemd has against a unit, whose program need not be installed."""
    (folder / UNIT.name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit))
    command = [program("systemd-analyze"), "verify", "--man=no", str(folder / UNIT.name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    assert verified(UNIT.read_text(), tmp_path) == ""
    assert "ProtectSystme" in verified(UNIT.read_text().replace("ProtectSystem", "ProtectSystme"), tmp_path)


def test_the_unit_is_hardly_exposed(tmp_path: Path) -> None:
    options = ["security", "--offline=yes", f"--threshold={MOST_EXPOSURE}"]
    assert "OK" in said(program("systemd-analyze"), *options, UNIT)
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("PrivateUsers=yes", "PrivateUsers=no"))
    with pytest.raises(AssertionError, match="Overall exposure"):
        said(program("systemd-analyze"), *options, tmp_path / UNIT.name)


def test_the_unit_waits_for_the_last_answers() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert float(settings["TimeoutStopSec"]) > SHUTDOWN_SECONDS
    assert settings["KillSignal"] == "SIGTERM"
    assert settings["Restart"] == "on-failure"
