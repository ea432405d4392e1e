"""How a training comes by its batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from batchbandit.conversation import Conversation
from batchbandit.delivery import deliver_all
from batchbandit.errors import ServiceError, Unreachable
from batchbandit.journals import Header
from batchbandit.log import log
from batchbandit.reasons import PREEMPTED
from batchbandit.service import Service, new_key

if TYPE_CHECKING:
    from batchbandit.jobs import JobSpec
    from batchbandit.journals import Journal
    from batchbandit.results import Results
    from batchbandit.spool import Spool

BACKLOG_SECONDS = 5.0
"""How long delivering what earlier trainings could not report may hold up this one."""


class Suggestion(NamedTuple):
    """The batch size to train with, its trial's number if it has one, why it is not the service's choice."""

    batch_size: int
    trial_number: int | None = None
    fallback: str | None = None


@dataclass(frozen=True)
class Asking:
    """A training that asks a service for its batch size."""

    service: Service
    job: JobSpec
    spool: Spool
    results: Results

    def ask(self) -> tuple[Suggestion, Conversation | None]:
        """Register the job, deliver what earlier trainings left, and ask for a batch size.

        Where the service cannot be asked, the batch size is the one with the lowest mean cost among those
        that converged when this machine trained the job, the default where none has. The conversation is
        None where the service refuses the job.
        """
        try:
            self.service.register(self.job.body())
        except ServiceError as error:
            suggestion = self._fallback(error)
            if error.is_final:
                return suggestion, None
            return suggestion, Conversation(self.service, self._journal(suggestion), None)
        deliver_all(self.spool, self.service, min(BACKLOG_SECONDS, self.service.patience_seconds))
        key = new_key()
        try:
            return self._suggested(key)
        except BaseException:  # a signal, say: the service may have dispatched a trial all the same
            journal = self._journal(Suggestion(self.job.default_batch_size), asked=key)
            journal.append({"end": {"reason": PREEMPTED}})
            journal.close()
            raise

    def _suggested(self, key: str) -> tuple[Suggestion, Conversation]:
        try:
            name = self.service.suggest(str(self.job.job_id), key)
            if name.batch_size not in self.job.batch_sizes:
                raise Unreachable(f"batch size {name.batch_size} was chosen, which is none of the job's")
        except ServiceError as error:
            suggestion = self._fallback(error)
            is_lost = isinstance(error, Unreachable) and not error.is_certain
            journal = self._journal(suggestion, asked=key if is_lost else None)
            if is_lost:
                # So that the key is on disk, whatever becomes of the training.
                journal.append({"delivered": 0})
            return suggestion, Conversation(self.service, journal, None)
        suggestion = Suggestion(name.batch_size, name.trial_number)
        return suggestion, Conversation(self.service, self._journal(suggestion), name)

    def _fallback(self, error: ServiceError) -> Suggestion:
        best = self.results.best(self.job.body())
        size = self.job.default_batch_size if best is None else best
        choice = "the default" if best is None else "the cheapest that this machine knows"
        log.warning(
            "Training with batch size %d, %s, since the service has named none: %s", size, choice, error
        )
        return Suggestion(size, None, str(error))

    def _journal(self, suggestion: Suggestion, *, asked: str | None = None) -> Journal:
        """Return the journal of the training; ``asked`` is the key of a suggestion whose answer was lost."""
        return self.spool.create(
            Header(
                url=self.service.address.url,
                job=self.job.body(),
                batch_size=suggestion.batch_size,
                key=new_key(),
                trial_number=suggestion.trial_number,
                asked=asked,
            )
        )
