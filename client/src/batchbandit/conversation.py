"""What a training and its service say to each other; what cannot be said now is kept on disk till later."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from batchbandit.delivery import deliver
from batchbandit.errors import ServiceError
from batchbandit.heartbeats import Heartbeats
from batchbandit.log import log

if TYPE_CHECKING:
    from batchbandit.journals import Journal
    from batchbandit.service import Service, TrialName
    from batchbandit.verdicts import Verdict

QUIET_SECONDS = 30.0
"""After the service did not answer, reports go to the disk for so long before it is asked again."""
BRIEF_PATIENCE_SECONDS = 2.0
"""What asking it again then may cost the training."""
LAST_PATIENCE_SECONDS = 5.0
"""What saying that the training is over may take; schedulers kill soon after they ask a process to end."""


class Conversation:
    """One training's talk with the service. It raises nothing: what fails is said once, the training goes on.

    ``name`` is the trial's, None where the service could not be asked; ``journal`` keeps what is unheard.
    """

    def __init__(self, service: Service, journal: Journal, name: TrialName | None) -> None:
        self._service = service
        self._journal = journal
        self._name = name
        self._heartbeats = None if name is None else Heartbeats(service, name)
        self._quiet_until = -math.inf if name is not None else time.monotonic() + QUIET_SECONDS
        self._has_warned = name is None
        self._is_over = False  # the service has said stop, or is to hear no more

    def report(self, report: dict[str, Any]) -> Verdict | None:
        """Report an epoch; None where the service has not judged it."""
        if self._is_over:
            return None
        if self._name is not None and self._is_clear():
            try:
                return self._heard(self._service.report({**self._name._asdict(), **report}))
            except ServiceError as error:
                self._failed(error)
        verdict = self._later({"report": report}, BRIEF_PATIENCE_SECONDS)
        if self._name is not None and self._heartbeats is None and not self._is_over:
            self._heartbeats = Heartbeats(self._service, self._name)
        return verdict

    def end(self, reason: str) -> None:
        """Say that the training is over, for a reason where the service has not said stop."""
        if self._is_over:
            return
        self._quiet_until = -math.inf
        if self._heartbeats is not None:
            self._heartbeats.stop()
        if self._name is not None and self._is_clear():
            patience_seconds = self._at_most(LAST_PATIENCE_SECONDS)
            try:
                self._service.end(self._name, reason, patience_seconds=patience_seconds)
            except ServiceError as error:
                self._failed(error)
            else:
                self._close()
        self._later({"end": {"reason": reason}}, LAST_PATIENCE_SECONDS)
        self._stop()

    def _at_most(self, patience_seconds: float) -> float:
        return min(patience_seconds, self._service.patience_seconds)

    def _is_clear(self) -> bool:
        return not self._journal.undelivered() and time.monotonic() >= self._quiet_until

    def _later(self, event: dict[str, Any], patience_seconds: float) -> Verdict | None:
        """Keep an event behind what waits already, and try to deliver all of it unless it is quiet.

        Return what is said of it, None where it was not delivered.
        """
        if self._is_over:
            return None
        self._journal.append(event)
        if time.monotonic() < self._quiet_until:
            return None
        outcome = deliver(self._journal, self._service, self._at_most(patience_seconds))
        self._name = self._name or outcome.name
        if outcome.error is not None:
            self._failed(outcome.error)
            return None
        return None if outcome.verdict is None else self._heard(outcome.verdict)

    def _heard(self, verdict: Verdict) -> Verdict:
        if verdict.stop_train:
            self._close()
        return verdict

    def _failed(self, error: ServiceError) -> None:
        if error.is_final:
            log.warning("The service wants no more of this training, which goes on without it: %s", error)
            self._stop()
            return
        self._quiet_until = time.monotonic() + QUIET_SECONDS
        if not self._has_warned:
            self._has_warned = True
            log.warning("The training goes on, and its reports wait on disk: %s", error)

    def _close(self) -> None:
        """Hear that all is said."""
        self._journal.remove()
        self._stop()

    def _stop(self) -> None:
        self._is_over = True
        if self._heartbeats is not None:
            self._heartbeats.stop()
            self._heartbeats.join()
        self._journal.close()
