"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded conversations and trainings, which a user's clone does not have."""
    folder = Path(os.environ.get("BATCHBANDIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the recorded conversations and trainings are not beside this clone")
    return folder
