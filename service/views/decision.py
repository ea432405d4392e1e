"""Why a trial has its batch size, as it was kept when it was dispatched."""

import math

from sqlalchemy import Connection

from core.rationale import Weighed
from core.records import Job
from service.errors import TrialNotFound
from service.store import trial_pages
from service.views import words
from service.views.known import known_job
from service.views.shapes import DecisionView, WeighedView


def decision_view(connection: Connection, job_id: str, trial_number: int) -> DecisionView:
    """Return why a trial has its batch size.

    Raises:
        JobNotFound: There is no such job.
        TrialNotFound: The job has no such trial.
    """
    found = decision_of(connection, known_job(connection, job_id), trial_number)
    if found is None:
        raise no_trial(job_id, trial_number)
    return found


def no_trial(job_id: str, trial_number: int) -> TrialNotFound:
    """Return the refusal where a job has no such trial."""
    return TrialNotFound(f"There is no trial({trial_number}) of job({job_id}).")


def decision_of(connection: Connection, job: Job, trial_number: int | None) -> DecisionView | None:
    """Return why a trial, the newest where none is named, has its batch size; None where there is none."""
    found = trial_pages.reasons(connection, job.job_id, trial_number)
    if found is None:
        return None
    number, size, why = found
    arms = [_weighed(arm) for arm in why.arms] if why else []
    return DecisionView(
        job_id=job.job_id,
        trial_number=number,
        batch_size=size,
        stage=why.stage if why else None,
        rule=why.rule if why else None,
        round=why.round if why else None,
        sentence=words.decision(job, size, why, arms),
        arms=arms,
        saving=why.saving if why else None,
        price=why.price if why else None,
    )


def _weighed(arm: Weighed) -> WeighedView:
    """Return an arm in costs, which are minus its rewards."""
    return WeighedView(
        batch_size=arm.batch_size,
        mean_cost=0.0 - arm.mean,  # no minus before a zero
        deviation=deviation_of(arm),
        num_observations=arm.num_observations,
        sampled_cost=None if arm.sample is None else -arm.sample,
    )


def deviation_of(arm: Weighed) -> float | None:
    """Return the standard deviation of a posterior mean, None where its precision is 0."""
    if arm.precision is None:
        return 0.0
    return 1 / math.sqrt(arm.precision) if arm.precision > 0 else None
