"""Disks that are small, or that let nothing be written."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.skips import skip_without

SMALL = 16 << 20
"""Bytes of a small disk."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk on a folder, or skip the test."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        skip_without(f"nothing can be mounted here: {mounted.stderr.strip()}", "mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607


def fill(folder: Path) -> Path:
    """Leave no room on the disk of a folder; return the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


@contextmanager
def limited(pid: int, size: int) -> Iterator[None]:
    """Let a process write no file beyond so many bytes."""
    if sys.platform != "linux":
        skip_without("the limits of another process can be set on Linux alone")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def immutable(*files: Path) -> Iterator[None]:
    """Let nobody write to files, those who have them open neither; or skip the test."""
    changed = subprocess.run(["chattr", "+i", *files], check=False, capture_output=True, text=True)  # noqa: S607
    try:
        if changed.returncode != 0:
            skip_without(f"files cannot be made immutable here: {changed.stderr.strip()}", "chattr")
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=False, capture_output=True)  # noqa: S607


def as_anybody() -> Sequence[str]:
    """Return what runs a command bound by the permissions of files, as root is not."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all", "--"]
