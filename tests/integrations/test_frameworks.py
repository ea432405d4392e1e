"""What ties the frameworks to a trial, held against the frameworks themselves, in their environment."""

from pathlib import Path

import pytest

from tests.integrations.conftest import ROOT, Run

WITHIN = Path(__file__).parent / "within"


@pytest.mark.parametrize("name", sorted(path.stem for path in WITHIN.glob("with_*.py")))
def test_with_the_framework_itself(name: str, run: Run) -> None:
    configuration = ("-c", ROOT / "client" / "pyproject.toml", "--rootdir", WITHIN, "--confcutdir", WITHIN)
    # The frameworks warn of each other, so that a warning is no error here.
    options = ("-W", "default", "-p", "no:cacheprovider", "-o", "python_files=with_*.py")
    printed = run("python", "-m", "pytest", *configuration, *options, WITHIN / f"{name}.py")
    assert " passed" in printed
