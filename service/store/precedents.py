"""What other jobs have shown that a new one begins with; not for the hot path."""

import sqlalchemy as sa
from sqlalchemy import Connection

from core.needs import MOST_TRIALS, Precedent, Precedents
from core.records import LIKE_IT, Job, Trial
from service.store import schema
from service.store.queries import columns

MOST_JOBS = 8

_job, _trial = schema.job, schema.trial


def precedents(connection: Connection, wanted: Precedents) -> list[Precedent]:
    """Load the jobs that are wanted, with their newest results."""
    name = _job.c.job_id
    select = sa.select(*columns(_job, Job)).where(
        name != wanted.job_id, sa.func.substr(name, 1, len(wanted.reach)) == wanted.reach
    )
    if wanted.named == LIKE_IT:
        alike = (_job.c.job_id_prefix == wanted.job_id_prefix, _job.c.num_converged > 0)
        select = select.where(*alike).order_by(_job.c.last_activity.desc(), name).limit(MOST_JOBS)
    else:
        select = select.where(name == wanted.named)
    jobs = [Job(*row) for row in connection.execute(select).all()]
    return [Precedent(job, _results(connection, job)) for job in jobs]


def _results(connection: Connection, job: Job) -> list[Trial]:
    """Load the newest results of a job since its reset, ascending by trial number."""
    select = (
        sa.select(*columns(_trial, Trial))
        .where(
            _trial.c.job_id == job.job_id,
            _trial.c.trial_number > job.reset_number,
            sa.text("status = 'Succeeded'"),
        )
        .order_by(_trial.c.trial_number.desc())
        .limit(MOST_TRIALS)
    )
    return [Trial(*row) for row in connection.execute(select).all()][::-1]
