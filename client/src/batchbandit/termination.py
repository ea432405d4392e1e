"""SIGTERM, by which schedulers take a machine away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

EXIT_STATUS = 128 + signal.SIGTERM


class Termination:
    """Watches for SIGTERM from its start to its stop, and lets a training end in order.

    Where nobody handled the signal it becomes a ``SystemExit`` in the main thread, so that blocks are left
    and files closed; a handler that was there is called as before. A second SIGTERM does what it did before.
    """

    def __init__(self) -> None:
        self.has_come = False
        self._pid = 0
        self._before: signal._HANDLER = None

    def start(self) -> None:
        """Handle SIGTERM, where this is the main thread and the signal is not ignored."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets no other thread handle signals
        before = signal.getsignal(signal.SIGTERM)
        if before is None or before is signal.SIG_IGN:
            return  # ignored, or handled by what is not Python
        self._pid, self._before = os.getpid(), before
        signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Give the signal back to whom it belonged, unless somebody else has taken it since."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.stop()
        is_training = os.getpid() == self._pid  # and no forked child, as a worker that loads data is
        self.has_come = is_training
        if callable(self._before):
            self._before(number, frame)
        elif is_training:
            sys.exit(EXIT_STATUS)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
