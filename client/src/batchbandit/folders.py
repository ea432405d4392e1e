"""The folder for what is kept between trainings: reports that wait for the service, and results."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from batchbandit.notices import say_once

VARIABLE = "BATCHBANDIT_STATE_DIR"
PRIVATE = 0o700


def state_folder() -> Path | None:
    """Return the state folder, made where it is missing; None where nothing can be kept.

    It is ``BATCHBANDIT_STATE_DIR``, else ``batchbandit`` in ``XDG_STATE_HOME`` or ``~/.local/state``; where
    that cannot be written, ``batchbandit-UID`` in the folder for temporary files, if it is this user's alone.
    Raises nothing; what is not as wanted is said once.
    """
    wanted = _wanted()
    if wanted is not None and _is_writable(wanted):
        return wanted
    which = "There is no home folder" if wanted is None else f"{wanted} cannot be written"
    spare = _spare()
    if spare is not None and _is_writable(spare) and _is_own(spare):
        say_once(
            f"{which}: reports that the service does not take at once wait in {spare}, and are lost with it. "
            f"Set {VARIABLE} to a folder that lasts."
        )
        return spare
    say_once(
        f"{which}, and nor can a folder for temporary files: reports that the service does not take are lost "
        f"when the training ends. Set {VARIABLE} to a folder that lasts."
    )
    return None


def make(folder: Path) -> None:
    """Make a folder for this user alone, where it is missing.

    Raises:
        OSError: It cannot be made.
    """
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)


def settle(folder: Path) -> None:
    """See that the names in a folder outlive a power cut, where the system has a way to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _wanted() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named:
        with suppress(OSError):  # of a working directory that is gone
            return Path(os.path.abspath(os.path.expanduser(named)))  # noqa: PTH100, PTH111
        return Path(named)
    states = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not states.is_absolute():  # then it is to be ignored, says its specification
        states = Path(os.path.expanduser("~"), ".local", "state")  # noqa: PTH111 -- it raises where none is
    return states / "batchbandit" if states.is_absolute() else None


def _spare() -> Path | None:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        return Path(tempfile.gettempdir(), f"batchbandit-{user}")
    except OSError:
        return None


def _is_writable(folder: Path) -> bool:
    """Tell whether a file can be made there, which modes alone do not say: a disk may be read-only."""
    try:
        make(folder)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_own(folder: Path) -> bool:
    """Tell whether nobody else reaches a folder, which anybody may have made under that name."""
    if not hasattr(os, "getuid"):
        return True
    try:
        status = folder.lstat()
    except OSError:
        return False
    is_private = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and is_private
