"""Locks between processes, which the operating system lets go of when their holder ends, however it ends.

They are those of ``flock``, which belong to an open file: two threads of a process keep each other out as
two processes do, and nobody loses a lock because somebody else in the process closes the same file. Record
locks (``lockf``) do neither. What they do better, that a forked child has no part in them, is done here: a
child of ``fork`` closes what is held, else a data loader's worker that outlives its training would hold on
to it. On NFS, Linux makes record locks of them at the server, so that all machines that mount it see them.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BETWEEN_TRIES_SECONDS = 0.01

_held: WeakSet[Held] = WeakSet()


class Held:
    """An open file that is locked or, where ``is_locked`` is false, that nothing there can lock."""

    def __init__(self, descriptor: int, *, is_locked: bool) -> None:
        self.descriptor = descriptor
        self.is_locked = is_locked
        self._is_open = True
        _held.add(self)

    def close(self) -> None:
        """Let go of the lock and close the file."""
        if self._is_open:
            self._is_open = False
            _close(self.descriptor)

    def __del__(self) -> None:
        self.close()


def let_go() -> None:
    """Close all that this process holds."""
    for held in list(_held):
        held.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=let_go)


def hold(path: Path, flags: int = 0) -> Held | None:
    """Open a file to read and write, and lock it; None where another holds it, or it was removed meanwhile.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0) | flags, 0o600)
    is_locked = _take(descriptor)
    if is_locked is False or not _is_there(path, descriptor):
        _close(descriptor)
        return None
    return Held(descriptor, is_locked=is_locked is not None)


def hold_soon(path: Path, flags: int, patience_seconds: float) -> Held | None:
    """As ``hold``, but try again for some seconds."""
    last_try = time.monotonic() + patience_seconds
    while (held := hold(path, flags)) is None and time.monotonic() < last_try:
        time.sleep(BETWEEN_TRIES_SECONDS)
    return held


@contextmanager
def holding(path: Path, patience_seconds: float = 0.0) -> Iterator[bool]:
    """Hold a lock file, made where it is missing and never removed; give whether nobody else does.

    Where nothing can be locked there, it is as if nobody else did.
    """
    held = None
    try:
        held = hold_soon(path, os.O_CREAT, patience_seconds)
        is_alone = held is not None
    except OSError:
        is_alone = True
    try:
        yield is_alone
    finally:
        if held is not None:
            held.close()


def _take(descriptor: int) -> bool | None:
    """Lock an open file; tell whether nobody else holds it, None where there are no locks."""
    try:
        import fcntl  # noqa: PLC0415 -- Windows has none

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # some network file systems have none either
        return None
    return True


def _close(descriptor: int) -> None:
    with suppress(OSError):  # NFS may tell here of a write that failed; fsync has told then
        os.close(descriptor)


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
