"""The pages that there are, by name, and where they are."""

from urllib.parse import urlencode

from tests.browser.filling import Filled


def pages_of(filled: Filled) -> dict[str, str]:
    """Return the paths of the pages by what they show."""
    return {
        "jobs": "/",
        "jobs-none": "/?prefix=nobodys",
        "job": of_job(filled.learned),
        "job-walking": of_job(filled.walking),
        "job-stuck": of_job(filled.stuck),
        "job-fresh": of_job(filled.fresh),
        "job-odd": of_job(filled.odd),
        "trial": of_trial(filled.learned, 25),
        "trial-exploration": of_trial(filled.learned, 2),
        "trial-failed": of_trial(filled.failing, 2),
        "trial-odd": of_trial(filled.odd, 1),
        "missing": "/nothing",
        "refused": "/?sort=size",
    }


def of_job(job_id: str) -> str:
    """Return where a job's page is."""
    return f"/job?{urlencode({'id': job_id})}"


def of_trial(job_id: str, number: int) -> str:
    """Return where a trial's page is."""
    return f"/trial?{urlencode({'id': job_id, 'number': number})}"


NAMES = tuple(pages_of(Filled("", "", "", "", "", "", "", [])))
"""The names of the pages."""
