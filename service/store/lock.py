"""The lock file beside a SQLite database: one serving process a file."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from service.errors import OpeningError


class LockFile:
    """An exclusive lock that the operating system releases when its process ends, however it ends.

    It says who serves the database, never whether its file may be opened: readers and backups need no lock.
    """

    def __init__(self, database: Path) -> None:
        # The real path, so that two names of one file are one lock.
        resolved = database.resolve()
        self.path = resolved.with_name(resolved.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            OpeningError: Another process holds it, or the file cannot be made.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OpeningError(
                f"cannot make the lock file {self.path}: {error.strerror}; "
                "the database's folder must exist and be writable"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise OpeningError(
                f"another batchbandit process (pid {holder}) already uses this database and holds "
                f"{self.path}; stop it first, or use another --database-url"
            ) from None
        with suppress(OSError):  # whose it is only helps people; a full disk has no room for it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go; the file stays, so that no two processes ever lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
