"""What is counted of the trials of every job, counted anew."""

import sqlalchemy as sa
from sqlalchemy import Connection

from service.store import schema

_RECOUNT = sa.text("""
    UPDATE "Job" SET (
        num_converged, num_unconverged, num_failed, spent_time, spent_energy,
        num_default, default_time, default_energy, num_drifts, last_activity
    ) = (
        SELECT
            count(CASE WHEN status = 'Succeeded' AND converged THEN 1 END),
            count(CASE WHEN status = 'Succeeded' AND NOT converged THEN 1 END),
            count(CASE WHEN status = 'Failed' THEN 1 END),
            coalesce(sum(CASE WHEN status = 'Succeeded' THEN "time" END), 0),
            coalesce(sum(CASE WHEN status = 'Succeeded' THEN energy END), 0),
            count(CASE WHEN converged AND batch_size = default_batch_size THEN 1 END),
            coalesce(sum(CASE WHEN converged AND batch_size = default_batch_size THEN "time" END), 0),
            coalesce(sum(CASE WHEN converged AND batch_size = default_batch_size THEN energy END), 0),
            count(drifted_from),
            max(coalesce(end_timestamp, start_timestamp))
        FROM "Trial" WHERE "Trial".job_id = "Job".job_id
    )
""")


def recount(connection: Connection) -> int:
    """Count what every job has spent so far by its trials; return how many jobs there are.

    Nothing changes meanwhile: the jobs are locked before the trials are read, in the order in which the
    service locks them.
    """
    jobs = connection.scalars(
        sa.select(schema.job.c.job_id).order_by(schema.job.c.job_id).with_for_update()
    ).all()
    connection.execute(_RECOUNT)
    return len(jobs)
