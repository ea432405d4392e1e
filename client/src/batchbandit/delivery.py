"""Bringing what journals hold to the service: in order, and once in effect wherever it is broken off.

A trial is begun with a key that its journal has from the start, and its number is in the journal before it is
used. A report is marked after it was answered; one that is repeated changes nothing at the service. All are
marked before the trial is ended, since no report is taken after that, and ending it again does nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from batchbandit.errors import Refused, ServiceError, Unreachable
from batchbandit.reasons import PREEMPTED
from batchbandit.service import TrialName

if TYPE_CHECKING:
    from batchbandit.journals import Journal
    from batchbandit.service import Service
    from batchbandit.spool import Spool
    from batchbandit.verdicts import Verdict

FORBIDDEN = 403
"""The token does not reach this job; it may reach others."""


class Outcome(NamedTuple):
    """What came of a delivery: its last verdict, the trial if it has one, and the error that broke it off."""

    verdict: Verdict | None = None
    name: TrialName | None = None
    error: ServiceError | None = None


class Delivered(NamedTuple):
    """What came of a service's journals: how many were delivered, put away as refused, and left for later.

    ``error`` is why some were left; ``is_busy`` says that all were, since another process delivers them.
    """

    delivered: int = 0
    refused: int = 0
    left: int = 0
    error: ServiceError | None = None
    is_busy: bool = False


class Patience:
    """Seconds that run out; None is the service's own patience, for each call anew."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds that are left.

        Raises:
            Unreachable: None are.
        """
        if self._end is None:
            return None
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise Unreachable("There was no time left to deliver it.", is_certain=True)
        return seconds


def deliver(journal: Journal, service: Service, patience_seconds: float | None = None) -> Outcome:
    """Deliver a journal, a live one too; once the service needs to hear no more, its file is gone.

    That is once a report was answered with stop, or the end is delivered. A journal that was abandoned
    without an end is of a training that died, and is ended without a reason. Raises nothing; what goes wrong
    leaves the journal for the next time.
    """
    return _deliver(journal, service, Patience(patience_seconds))


def deliver_all(spool: Spool, service: Service, patience_seconds: float | None = None) -> Delivered:
    """Deliver the journals for a service that were abandoned, in the order in which they were begun.

    What the service refuses for good is put away. Where it cannot be reached, or the token is not accepted,
    the rest is left for the next time; where the token does not reach a job, the rest of that job.
    """
    patience = Patience(patience_seconds)
    delivered, refused, left = 0, 0, 0
    away: ServiceError | None = None
    forbidden: dict[str, ServiceError] = {}
    with spool.delivering() as is_alone:
        for journal in spool.abandoned(service.address.url) if is_alone else ():
            error = away or forbidden.get(journal.job_id) or _deliver(journal, service, patience).error
            if error is None:
                delivered += 1
            elif error.is_final:
                refused += 1
                journal.refuse(str(error))
            else:
                left += 1
                if isinstance(error, Refused) and error.status == FORBIDDEN:
                    forbidden[journal.job_id] = error
                else:
                    away = error
    return Delivered(delivered, refused, left, away or next(iter(forbidden.values()), None), not is_alone)


def _deliver(journal: Journal, service: Service, patience: Patience) -> Outcome:
    verdict = name = None
    try:
        name = _name(journal, service, patience)
        while reports := journal.undelivered():
            verdict = service.report({**name._asdict(), **reports[0]}, patience_seconds=patience.left())
            if verdict.stop_train:
                journal.mark(len(journal.reports))
                journal.remove()
                return Outcome(verdict, name)
            journal.mark(journal.delivered + 1)
        if journal.is_ended or not journal.is_live:
            service.end(name, journal.reason, patience_seconds=patience.left())
            journal.remove()
    except ServiceError as error:
        return Outcome(verdict, name, error)
    return Outcome(verdict, name)


def _name(journal: Journal, service: Service, patience: Patience) -> TrialName:
    """Return the trial of a journal; one that has none yet gets one, and its number is written down."""
    size = journal.batch_size
    if journal.trial_number is not None:
        return TrialName(journal.job_id, size, journal.trial_number)
    service.register(journal.job, patience_seconds=patience.left())
    name = _adopted(journal, service, patience)
    if name is None:
        name = service.begin(journal.job_id, size, journal.key, patience_seconds=patience.left())
    journal.append({"trial_number": name.trial_number})
    return name


def _adopted(journal: Journal, service: Service, patience: Patience) -> TrialName | None:
    """Return the trial of the suggestion whose answer was lost; one of another batch size is ended."""
    if journal.asked is None:
        return None
    try:
        name = service.suggest(journal.job_id, journal.asked, patience_seconds=patience.left())
    except Refused as refusal:
        if not refusal.is_final:
            raise
        return None  # as where no batch size is left: there never was a trial
    if name.batch_size == journal.batch_size:
        return name
    service.end(name, PREEMPTED, patience_seconds=patience.left())
    return None
