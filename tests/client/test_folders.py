"""Where the state folder is, and what becomes of it where it cannot be written."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from batchbandit import notices
from batchbandit.folders import state_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Path:
    """Give each test a folder for temporary files, and a process that has said nothing yet."""
    notices.say_once.cache_clear()
    caplog.set_level("WARNING", "batchbandit")
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("BATCHBANDIT_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def spare(folder: Path) -> Path:
    return folder / f"batchbandit-{os.getuid()}"


def occupied(path: Path) -> Path:
    """Return a path at which no folder can be made, whoever tries."""
    path.write_text("a file")
    return path / "state"


def test_the_variable_names_the_folder_which_nobody_else_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(tmp_path / "a" / "b"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_tilde_and_a_relative_path_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", "~/kept")
    assert state_folder() == tmp_path / "home" / "kept"
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", "here")
    assert state_folder() == tmp_path / "here"


def test_the_state_home_comes_next_where_it_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "xdg" / "batchbandit"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == tmp_path / "home" / ".local" / "state" / "batchbandit"


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(shared))
    assert state_folder() == shared
    assert shared.stat().st_mode & 0o777 == 0o755
    assert list(shared.iterdir()) == []


def test_where_the_folder_cannot_be_written_a_temporary_one_is_used_and_that_is_said_once(
    tmp_path: Path,
    temporary_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = occupied(tmp_path / "file")
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(wanted))
    assert state_folder() == state_folder() == spare(temporary_folder)
    assert spare(temporary_folder).stat().st_mode & 0o777 == 0o700
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{wanted} cannot be written")
    assert "BATCHBANDIT_STATE_DIR" in caplog.messages[0]


def test_a_user_without_a_home_gets_a_temporary_folder(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert state_folder() == spare(temporary_folder)
    assert caplog.messages[0].startswith("There is no home folder")


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_temporary_folder_that_others_may_have_made_is_not_used(
    kind: str,
    tmp_path: Path,
    temporary_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(occupied(tmp_path / "file")))
    if kind == "open to others":
        spare(temporary_folder).mkdir()
        spare(temporary_folder).chmod(0o750)
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        spare(temporary_folder).symlink_to(tmp_path / "elsewhere")
    else:
        spare(temporary_folder).write_text("")
    assert state_folder() is state_folder() is None
    assert len(caplog.messages) == 1
    assert "are lost when the training ends" in caplog.messages[0]


def test_a_temporary_folder_of_another_user_is_not_used(
    tmp_path: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(occupied(tmp_path / "file")))
    spare(temporary_folder).mkdir(mode=0o700)
    os.chown(spare(temporary_folder), 12345, -1)
    assert state_folder() is None


def test_without_any_folder_for_temporary_files_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(occupied(tmp_path / "file")))
    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert state_folder() is None


def test_a_working_directory_that_is_gone_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", "here")
    try:
        assert state_folder() is not None
    finally:
        os.chdir(tmp_path)
