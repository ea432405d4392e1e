"""A job that is there."""

from sqlalchemy import Connection

from core.records import Job
from service.errors import JobNotFound
from service.store import job_pages


def known_job(connection: Connection, job_id: str) -> Job:
    """Load a job without its random stream.

    Raises:
        JobNotFound: There is none of this name.
    """
    job = job_pages.job(connection, job_id)
    if job is None:
        raise JobNotFound(f"Job({job_id}) is not registered.")
    return job
