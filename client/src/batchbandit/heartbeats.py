"""A thread that keeps a trial's lease while an epoch lasts."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from batchbandit.apart import apart
from batchbandit.errors import ServiceError
from batchbandit.log import log
from batchbandit.shield import shielded

if TYPE_CHECKING:
    from batchbandit.service import Service, TrialName

BEATS_A_LEASE = 3
FIRST_LEASE_SECONDS = 600.0
"""What is assumed until the service has named the lease: its default."""
LEAST_PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 2.0
RETRY_SECONDS = 10.0
"""After a beat that was not answered the next comes so soon."""


class Heartbeats:
    """Renews the lease of a trial, the first time at once, until it is stopped or the lease is no more.

    Where no thread can be started the service's default lease has to do.
    """

    def __init__(self, service: Service, name: TrialName) -> None:
        self._service = service
        self._name = name
        # No event, whose lock a signal that breaks in on stop would leave taken for the next one to wait for.
        self._stops: SimpleQueue[None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="batchbandit-heartbeats", daemon=True)
        with suppress(RuntimeError):  # too many threads, say
            apart(self._thread.start)

    def stop(self) -> None:
        """Send no more."""
        self._stops.put(None)

    def join(self) -> None:
        """Wait until what is being sent has been answered, or patience ends."""
        if self._thread.is_alive():
            self._thread.join(2 * PATIENCE_SECONDS)

    def _run(self) -> None:
        with shielded("sending heartbeats"):
            self._beat()

    def _beat(self) -> None:
        lease = FIRST_LEASE_SECONDS
        pause = 0.0
        while not self._is_stopped_within(pause):
            pause = min(lease / BEATS_A_LEASE, RETRY_SECONDS)
            try:
                named = self._service.beat(self._name, patience_seconds=PATIENCE_SECONDS)
            except ServiceError as error:
                log.debug("A heartbeat was not taken: %s", error)
                if error.is_final:
                    return
            else:
                if named is None:
                    return
                lease = named
                pause = lease / BEATS_A_LEASE
            pause = max(pause, LEAST_PAUSE_SECONDS)

    def _is_stopped_within(self, seconds: float) -> bool:
        try:
            self._stops.get(timeout=seconds)
        except Empty:
            return False
        return True
