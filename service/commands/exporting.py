"""The trials of a job, into a file that is there whole or not at all."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from msgspec import Struct
from rich.progress import DownloadColumn, TransferSpeedColumn

from service.commands.calling import READING, Service, job_path
from service.commands.outcomes import Exit, Failed
from service.commands.printing import progress
from service.views.files import Format


class Exported(Struct, frozen=True):
    """What has been written."""

    file: str
    bytes: int


def export(service: Service, job_id: str, form: Format, target: Path | None) -> Exported | None:
    """Write the trials of a job to a file, or to standard output where there is no target.

    Raises:
        Failed: The service refuses or breaks off, or the file cannot be written; then it is as it was.
    """
    path = job_path(job_id, "export")
    with service.stream(READING, path, {"format": form.value}) as answer:
        parts = service.parts(answer)
        if target is None:
            for part in parts:
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            return None
        length = answer.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        with (
            _refusing(target),
            written_whole(target) as file,
            progress(str(target), total, DownloadColumn(), TransferSpeedColumn()) as advance,
        ):
            size = 0
            for part in parts:
                size += file.write(part)
                advance(len(part))
        return Exported(str(target), size)


@contextmanager
def written_whole(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets its name when all of it is on the disk, and goes where anything fails.

    What is there and no file, as a pipe or ``/dev/null``, is written to as it is.

    Raises:
        OSError: It cannot be written.
    """
    if target.exists() and not target.is_file():
        with target.open("wb") as opened:
            yield opened
        return
    target = target.resolve()  # a link goes on leading to what it led to
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as opened:
            if target.exists():
                partial.chmod(target.stat().st_mode)
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _refusing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        sentence = f"{target} cannot be written ({error.strerror}); name another file with -o"
        raise Failed(Exit.UNUSABLE, sentence) from error
