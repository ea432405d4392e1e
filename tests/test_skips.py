"""Where everything is required, nothing is skipped but what is said to be impossible there."""

import pytest
from click.testing import CliRunner

from tests.fuzz import __main__ as fuzz
from tests.skips import MAY_LACK, REQUIRE_ALL, skip_without


def test_a_test_is_skipped_for_want_of_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no curl"):
        skip_without("no curl")


@pytest.mark.parametrize(("may_lack", "privilege"), [("mount", None), ("mount", "chattr"), ("", "mount")])
def test_nothing_is_skipped_where_all_is_required(
    monkeypatch: pytest.MonkeyPatch, may_lack: str, privilege: str | None
) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    monkeypatch.setenv(MAY_LACK, may_lack)
    with pytest.raises(AssertionError, match="no curl"):
        skip_without("no curl", privilege)


def test_what_is_said_to_be_impossible_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    monkeypatch.setenv(MAY_LACK, "mount chattr")
    with pytest.raises(pytest.skip.Exception, match="not here"):
        skip_without("not here", "chattr")


@pytest.mark.parametrize(("is_required", "code"), [(False, 0), (True, 1)])
def test_a_tool_of_make_fuzz_that_is_missing_fails_where_all_is_required(
    monkeypatch: pytest.MonkeyPatch, is_required: bool, code: int
) -> None:
    monkeypatch.setattr(fuzz, "TOOLS", {"tests.fuzz.none": "a_module_that_is_missing"})
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    if is_required:
        monkeypatch.setenv(REQUIRE_ALL, "1")
    ended = CliRunner().invoke(fuzz.main, [])
    assert "not run" in ended.output
    assert ended.exit_code == code
