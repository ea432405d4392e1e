"""Work that is done apart from the main thread, on which a signal may break in anywhere."""

from __future__ import annotations

import _thread
import math
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

HEEDING_SECONDS = 0.5
"""How long is waited at once: a signal that comes just before Python waits is heeded only after it."""

T = TypeVar("T")


def apart(work: Callable[[], T], timeout_seconds: float = math.inf) -> T:
    """Work in a thread of its own, and return what comes of it; where none can be started, work here.

    What a signal's handler raises would leave locks taken for ever inside of a library. Inside ``threading``,
    which is a library too, it may also come out as another error or be swallowed. So the main thread uses
    nothing here that is written in Python.

    Raises:
        TimeoutError: It takes longer, and goes on.
    """
    outcomes: SimpleQueue[T | Exception] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put(work())
        except Exception as error:  # noqa: BLE001 -- it is raised below
            outcomes.put(error)

    end = time.monotonic() + timeout_seconds
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # too many threads, say
        return work()
    outcome = _first(outcomes, end)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _first(outcomes: SimpleQueue[T], end: float) -> T:
    while True:
        left = end - time.monotonic()
        try:
            return outcomes.get(timeout=max(0.0, min(left, HEEDING_SECONDS)))
        except Empty:
            if left <= HEEDING_SECONDS:
                raise TimeoutError("it takes too long") from None
