"""What those who watch are told of a job: how it differs from what it was."""

from core.failures import is_set_aside
from core.policies.protocol import Drift
from core.rationale import Rationale
from core.records import Job, Trial
from core.savings import saved_by
from service.engine.dossier import Dossier
from service.store.happening import Kind


def tell_dispatched(dossier: Dossier, before: Job, after: Job, trial: Trial, rationale: Rationale) -> None:
    """Tell of a trial that was dispatched, and of the stage that may begin with it."""
    if after.stage is not before.stage:
        dossier.happen(Kind.STAGE_CHANGED, stage=after.stage)
    dossier.happen(
        Kind.TRIAL_DISPATCHED,
        trial_number=trial.trial_number,
        batch_size=trial.batch_size,
        type=trial.type,
        rule=rationale.rule,
    )


def tell_ended(dossier: Dossier, before: Job, after: Job, trial: Trial) -> None:
    """Tell of a trial that has ended, and of its batch size where that is set aside for it."""
    saved_time, saved_energy = saved_by(after, trial) or (None, None)
    dossier.happen(
        Kind.TRIAL_ENDED,
        trial_number=trial.trial_number,
        batch_size=trial.batch_size,
        type=trial.type,
        status=trial.status,
        converged=trial.converged,
        failure_reason=trial.failure_reason,
        is_late=trial.is_late,
        time=trial.time,
        energy=trial.energy,
        saved_time=saved_time,
        saved_energy=saved_energy,
    )
    if is_set_aside(after, trial.batch_size) and not is_set_aside(before, trial.batch_size):
        dossier.happen(
            Kind.BATCH_SIZE_SET_ASIDE, batch_size=trial.batch_size, failure_reason=trial.failure_reason
        )


def tell_drift(dossier: Dossier, trial: Trial, drift: Drift) -> None:
    """Tell that a trial has shown that trainings cost something else than they did."""
    dossier.happen(
        Kind.DRIFT_DETECTED,
        trial_number=trial.trial_number,
        batch_size=drift.batch_size,
        expected_cost=drift.expected,
        seen_cost=drift.seen,
    )
