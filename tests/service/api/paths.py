"""The paths of API v1."""

from urllib.parse import quote

JOBS = "/api/v1/jobs"


def path_of(job_id: str, *rest: str | int) -> str:
    """Return the path of a job, or of something of it."""
    return "/".join([JOBS, quote(job_id, safe=""), *map(str, rest)])
