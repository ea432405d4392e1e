"""Lines on disk that are only ever added: one counts once its newline is there."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from batchbandit.folders import make, settle
from batchbandit.locks import Held, hold_soon
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PATIENCE_SECONDS = 1.0


class Lines:
    """A file of lines that this process holds a lock on, or will once there is a line; None is no file.

    What goes wrong with the disk is said once and raises nothing: what could not be written is kept in
    memory, and written with the next line. In a forked child nothing is done.
    """

    def __init__(self, path: Path | None, lines: Sequence[bytes] = (), held: Held | None = None) -> None:
        self._path = path
        self._lines = list(lines)
        # Bytes and lines on disk: one value, so that whoever breaks in, as a signal does, finds both in step.
        self._kept = (0, 0) if held is None else (sum(map(len, lines)), len(lines))
        self._held = held
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._is_writing = False

    def append(self, line: bytes) -> None:
        """Add a line; it is on disk when this returns, where the disk allows it."""
        if not self._is_foreign():
            self._lines.append(line)
            with self._lock:
                self._write()

    def release(self) -> Path | None:
        """Let go of the file for good; return its path, None where there is none."""
        if self._is_foreign():
            return None
        path = None if self._held is None else self._path
        if self._held is not None:
            self._held.close()
        self._path = self._held = None
        return path

    def _is_foreign(self) -> bool:
        return self._process != os.getpid()

    def _write(self) -> None:
        # Asked anew after each time: a signal's handler that adds a line while one is written leaves it to
        # the write that it broke in on.
        while self._path is not None and self._kept[1] < len(self._lines) and not self._is_writing:
            self._is_writing = True
            try:
                self._write_rest(self._path)
            except OSError as error:
                say_once(
                    f"What waits for the service cannot be written to {self._path.parent}: {error.strerror}. "
                    "It stays in memory, and is lost where the training ends before the service is back."
                )
                return
            finally:
                self._is_writing = False

    def _write_rest(self, path: Path) -> None:
        """Write what is not on disk, over what a write that was not finished may have left there."""
        held = self._held or self._make(path)
        self._held = held
        size, count = self._kept
        lines = self._lines[count:]
        rest = b"".join(lines)
        os.lseek(held.descriptor, size, os.SEEK_SET)
        size += len(rest)
        while rest:
            rest = rest[os.write(held.descriptor, rest) :]
        os.ftruncate(held.descriptor, size)
        os.fsync(held.descriptor)
        self._kept = (size, count + len(lines))

    @staticmethod
    def _make(path: Path) -> Held:
        make(path.parent)
        # Who looks for files that nobody holds may find this one before it is locked, and remove it.
        held = hold_soon(path, os.O_CREAT, PATIENCE_SECONDS)
        if held is None:
            raise BlockingIOError(0, "it is locked")
        settle(path.parent)
        return held


def read(held: Held) -> bytes:
    """Return what is in a file.

    Raises:
        OSError: It cannot be read.
    """
    os.lseek(held.descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(held.descriptor), "rb") as file:
        return file.read()


def put_away(path: Path, folder: str, sentence: str) -> Path | None:
    """Move a file into a folder beside it, with a text that says why; return its path, None if it cannot."""
    kept = path.parent / folder / path.name
    try:
        make(kept.parent)
        kept.with_suffix(".txt").write_text(f"{sentence}\n", encoding="utf-8", errors="replace")
        os.replace(path, kept)  # noqa: PTH105 -- which is atomic on Windows too
    except OSError:
        return None
    return kept


def forget(path: Path) -> None:
    """Remove a file, where it can be."""
    with suppress(OSError):
        path.unlink()
