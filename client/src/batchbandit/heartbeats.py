"""A thread that keeps a trial's lease while an epoch lasts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from batchbandit.errors import Refused, ServiceError
from batchbandit.log import log

if TYPE_CHECKING:
    from batchbandit.service import Service, TrialName

BEATS_A_LEASE = 3
FIRST_LEASE_SECONDS = 600.0
"""What is assumed until the service has named the lease: its default."""
LEAST_PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 5.0


class Heartbeats:
    """Renews the lease of a trial, the first time at once, until it is stopped or the lease is no more."""

    def __init__(self, service: Service, name: TrialName) -> None:
        self._service = service
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batchbandit-heartbeats", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what is being sent is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        lease: float | None = FIRST_LEASE_SECONDS
        while lease is not None and not self._stopped.is_set():
            try:
                lease = self._service.beat(self._name, patience_seconds=PATIENCE_SECONDS)
            except Refused as error:
                log.debug("No more heartbeats: %s", error)
                return
            except ServiceError as error:
                log.debug("A heartbeat was not answered: %s", error)
            if lease is not None:
                self._stopped.wait(max(lease / BEATS_A_LEASE, LEAST_PAUSE_SECONDS))
