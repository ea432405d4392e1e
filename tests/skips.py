"""Tests that are skipped for want of something, and where none may be."""

import os
from typing import NoReturn

import pytest

REQUIRE_ALL = "BATCHBANDIT_REQUIRE_ALL"
"""The variable that lets no test be skipped for want of a program."""
MAY_LACK = "BATCHBANDIT_MAY_LACK"
"""The variable with the privileges, apart by spaces, that may be lacking all the same."""


def skip_without(reason: str, privilege: str | None = None) -> NoReturn:
    """Skip a test for want of something, which a ``privilege`` would give; fail where that may not be."""
    is_allowed = privilege is not None and privilege in os.environ.get(MAY_LACK, "").split()
    assert is_allowed or REQUIRE_ALL not in os.environ, reason
    pytest.skip(reason)
