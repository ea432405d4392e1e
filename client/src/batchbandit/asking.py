"""How a training comes by its batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchbandit.conversation import Conversation
from batchbandit.delivery import deliver_all
from batchbandit.errors import Refused, ServiceError, Unreachable
from batchbandit.journals import Header
from batchbandit.log import log
from batchbandit.reasons import PREEMPTED
from batchbandit.service import Service, TrialName, new_key

if TYPE_CHECKING:
    from batchbandit.jobs import JobSpec
    from batchbandit.results import Results
    from batchbandit.spool import Spool

BACKLOG_SECONDS = 5.0
"""How long delivering what earlier trainings could not report may hold up this one."""


class Suggestion(NamedTuple):
    """The batch size to train with, its trial's number if it has one, why it is not the service's choice."""

    batch_size: int
    trial_number: int | None = None
    fallback: str | None = None


class Asked(NamedTuple):
    """What became of asking: the trial, or why there is none.

    ``lost_key`` is the key of a suggestion whose answer was lost: a trial may have been dispatched that
    nobody trains. ``is_mute`` says that the service will not take the job's reports later either.
    """

    name: TrialName | None = None
    error: ServiceError | None = None
    lost_key: str | None = None
    is_mute: bool = False


def ask(
    service: Service, job: JobSpec, spool: Spool, results: Results
) -> tuple[Suggestion, Conversation | None]:
    """Register a job, deliver what earlier trainings left, and ask for a batch size.

    Where the service cannot be asked, the batch size is the one with the lowest mean cost among those that
    converged when this machine trained the job, the default where none has. The conversation is None where
    the service refuses the job.
    """
    asked = _asked(service, job, spool)
    if asked.name is not None:
        suggestion = Suggestion(asked.name.batch_size, asked.name.trial_number)
    else:
        suggestion = _fallback(job, results.best(job.body()), asked)
    if asked.is_mute:
        return suggestion, None
    number = suggestion.trial_number
    header = _header(service, job, suggestion.batch_size, trial_number=number, asked=asked.lost_key)
    journal = spool.create(header)
    if asked.lost_key is not None:
        journal.append({"delivered": 0})  # so that the key is on disk, whatever becomes of the training
    return suggestion, Conversation(service, journal, asked.name)


def _header(
    service: Service,
    job: JobSpec,
    batch_size: int,
    *,
    trial_number: int | None = None,
    asked: str | None = None,
) -> Header:
    return Header(service.address.url, job.body(), batch_size, new_key(), trial_number, asked)


def _fallback(job: JobSpec, best: int | None, asked: Asked) -> Suggestion:
    size = job.default_batch_size if best is None else best
    choice = "the default" if best is None else "the cheapest that this machine knows"
    log.warning(
        "Training with batch size %d, %s, since the service has named none: %s", size, choice, asked.error
    )
    return Suggestion(size, None, str(asked.error))


def _asked(service: Service, job: JobSpec, spool: Spool) -> Asked:
    try:
        service.register(job.body())
    except Refused as error:
        return Asked(error=error, is_mute=error.is_final)
    except Unreachable as error:
        return Asked(error=error)
    deliver_all(spool, service, min(BACKLOG_SECONDS, service.patience_seconds))
    key = new_key()
    try:
        name = service.suggest(str(job.job_id), key)
    except Unreachable as error:
        return Asked(error=error, lost_key=None if error.is_certain else key)
    except Refused as error:
        return Asked(error=error)
    except BaseException:  # a signal, say: the service may have dispatched a trial all the same
        journal = spool.create(_header(service, job, job.default_batch_size, asked=key))
        journal.append({"end": {"reason": PREEMPTED}})
        journal.close()
        raise
    if name.batch_size not in job.batch_sizes:
        strange = Refused(0, f"batch size {name.batch_size} was chosen, which is none of the job's")
        return Asked(error=strange, lost_key=key)
    return Asked(name)
