"""SIGTERM, by which schedulers take a machine away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EXIT_STATUS = 128 + signal.SIGTERM


class Termination:
    """Watches for SIGTERM from its start to its stop, and lets a training end in order.

    Where nobody handled the signal it becomes a ``SystemExit`` in the main thread, so that blocks are left
    and files closed; a handler that was there is called as before. A second SIGTERM does what it did before.
    """

    def __init__(self) -> None:
        self.has_come = False
        self._raised: BaseException | None = None
        self._pid = 0
        self._before: signal._HANDLER = None

    def start(self) -> None:
        """Handle SIGTERM, where this is the main thread and the signal is not ignored."""
        if not _is_main_thread():
            return  # Python lets no other thread handle signals
        before = signal.getsignal(signal.SIGTERM)
        if before is None or before is signal.SIG_IGN:
            return  # ignored, or handled by what is not Python
        self._pid, self._before = os.getpid(), before
        signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Give the signal back to whom it belonged, unless somebody else has taken it since."""
        if _is_main_thread() and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._before)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Let what the handler raises in a block leave it, though it was caught or lost there.

        Python loses what is raised where it forgets an object, and another handler than this one may raise
        what looks like an error of the block's own.
        """
        before = self._raised
        yield
        raised = self._raised
        if raised is not None and raised is not before and _is_main_thread():
            raise raised

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.stop()
        is_training = os.getpid() == self._pid  # and no forked child, as a worker that loads data is
        self.has_come = is_training
        try:
            self._act(number, frame, is_training=is_training)
        except BaseException as error:
            self._raised = error
            raise

    def _act(self, number: int, frame: FrameType | None, *, is_training: bool) -> None:
        if callable(self._before):
            self._before(number, frame)
        elif is_training:
            sys.exit(EXIT_STATUS)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
