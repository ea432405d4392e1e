"""SQLite on a disk that is full, or that lets nothing be written: before the start and under load."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.faults.disks import as_anybody, fill, immutable, limited, small_disk
from tests.faults.harness import LONG, Row, Service, check, endure, run, serving, wait_until

SECONDS = 30.0 if LONG else 4.0
PAGE = 4096
FULL_SECONDS = 10.0 if LONG else 1.0

Hindrance = Callable[[Service], AbstractContextManager[None]]


@contextmanager
def no_room(service: Service) -> Iterator[None]:
    """Fill the disk."""
    ballast = fill(service.database.parent)
    try:
        yield
    finally:
        ballast.unlink()


def file_size_limit(service: Service) -> AbstractContextManager[None]:
    """Let nothing be written beyond the first page of a file."""
    return limited(service.child.process.pid, PAGE)


def read_only(service: Service) -> AbstractContextManager[None]:
    """Let nothing be written."""
    return immutable(service.database, service.database.with_name("batchbandit.db-wal"))


def hindering(service: Service, hindrance: Hindrance) -> Callable[[], float]:
    """Return what hinders a service for a while, which it says to its clients."""

    def hinder() -> float:
        with hindrance(service):
            wait_until(lambda: not service.serves(), "the service says that it cannot write")
            time.sleep(FULL_SECONDS)  # SQLite may find room in its own files, and lose it again
        return time.monotonic()

    return hinder


def test_a_disk_that_is_full(record: Callable[[Row], None], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        service = Service(disk)
        with serving(service):
            full = hindering(service, no_room)
            record(endure("disk full", "SQLite", [service], full, tmp_path / "log", SECONDS))


def test_a_limit_of_file_sizes(record: Callable[[Row], None], tmp_path: Path) -> None:
    service = Service(tmp_path)
    with serving(service):
        full = hindering(service, file_size_limit)
        record(endure("file size limit", "SQLite", [service], full, tmp_path / "log", SECONDS))


def test_a_file_that_becomes_read_only(record: Callable[[Row], None], tmp_path: Path) -> None:
    service = Service(tmp_path)
    with serving(service):
        locked = hindering(service, read_only)
        record(endure("file read-only", "SQLite", [service], locked, tmp_path / "log", SECONDS))


def refusal(service: Service) -> str:
    """Return the sentence with which a service does not start."""
    refused = run("serve", "--port", "0", "--database-url", service.database_url, before=as_anybody())
    assert refused.returncode == 2, refused.stderr
    assert "Traceback" not in refused.stderr
    return refused.stderr


def test_a_new_database_on_a_full_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        ballast = fill(disk)
        service = Service(disk)
        assert "make room on its disk" in refusal(service)
        ballast.unlink()
        with serving(service):
            assert service.serves()


def test_a_database_on_a_full_disk_is_served_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        service = Service(disk)
        with serving(service):
            assert service.serves()
        ballast = fill(disk)
        before = service.database.read_bytes()
        assert "make room on its disk" in refusal(service)
        assert service.database.read_bytes() == before
        ballast.unlink()
        with serving(service):
            assert service.serves()
        assert check(service.database_url).returncode == 0


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_a_read_only_file_or_folder_is_refused(tmp_path: Path, is_folder: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    service = Service(folder)
    with serving(service):
        assert service.serves()
    before = service.database.read_bytes()
    if is_folder:
        service.database.with_name("batchbandit.db.lock").unlink()
        folder.chmod(0o555)
    else:
        service.database.chmod(0o444)
    try:
        assert "writable" in refusal(service)
    finally:
        folder.chmod(0o755)
    assert service.database.read_bytes() == before
