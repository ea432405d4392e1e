"""Where the client's tests run: on every interpreter that is named, or on none."""

import sys
from pathlib import Path

import pytest

from tests.client import run


def test_an_interpreter_that_is_named_and_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "python3.9"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    for name in (str(broken), str(tmp_path / "python3.10")):
        assert run.main([sys.executable, name]) == 2
        assert capsys.readouterr() == ("", f"no Python of 3.9 to 3.14: {name}\n")


def test_of_a_version_that_is_there_twice_the_first_is_taken() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert run.find(["no-such-python", sys.executable, sys.executable]) == {version: sys.executable}
