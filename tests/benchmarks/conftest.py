"""What the tests of the benchmarks share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shared() -> Path:
    """The folder of recorded trainings and golden data, which a checkout alone does not have."""
    folder = Path(os.environ.get("BATCHBANDIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} is missing; BATCHBANDIT_SHARED names another folder")
    return folder
