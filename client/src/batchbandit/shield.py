"""What stands between a training and the faults of the client itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchbandit.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def shielded(doing: str) -> Iterator[None]:
    """Let no error of a block reach the training; what it was is logged, with its traceback."""
    try:
        yield
    except Exception:  # noqa: BLE001 -- whatever it is
        log.exception("A fault of batchbandit's own while %s; the training goes on. Please report it.", doing)
