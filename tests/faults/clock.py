"""A clock that steps, for one program and its children: libfaketime, preloaded."""

from datetime import timedelta
from pathlib import Path

INSTALLED = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
LIBRARY = "libfaketimeMT.so.1"
CACHE_SECONDS = 1
"""How long a program goes on with the time that it was told before."""


def find_library() -> Path | None:
    """Return the library, None where it is not installed."""
    found = (path for pattern in INSTALLED for path in Path("/").glob(f"{pattern[1:]}/{LIBRARY}"))
    return next(found, None)


class Clock:
    """What the programs that run in its environment take for the time of day; durations stay true."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": str(CACHE_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # as releases before 0.9.10 call it
        }
        self.set(timedelta(0))

    def set(self, offset: timedelta) -> None:
        """Let the clock differ by so much from the true one, within ``CACHE_SECONDS``."""
        self._file.write_text(f"{offset.total_seconds():+.0f}\n")
        self._file.chmod(0o644)
