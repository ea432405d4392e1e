"""What happens, as it is kept for those who watch."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Kind(StrEnum):
    """What can happen to a job."""

    JOB_REGISTERED = "job_registered"
    JOB_CHANGED = "job_changed"
    JOB_PAUSED = "job_paused"
    JOB_RESUMED = "job_resumed"
    JOB_RESET = "job_reset"
    JOB_DELETED = "job_deleted"
    STAGE_CHANGED = "stage_changed"
    BATCH_SIZE_SET_ASIDE = "batch_size_set_aside"
    DRIFT_DETECTED = "drift_detected"
    TRIAL_DISPATCHED = "trial_dispatched"
    TRIAL_ENDED = "trial_ended"


class Happening(Struct, frozen=True):
    """Something that happened to a job; ``timestamp`` in UTC, ``detail`` by its kind, as JSON can have it.

    A trial that was dispatched: ``trial_number``, ``batch_size``, ``type``, ``rule``. One that ended: the
    first three, ``status``, ``converged``, ``failure_reason``, ``is_late``, ``time`` (seconds), ``energy``
    (joules), and ``saved_time`` and ``saved_energy`` against what a training at the default batch size has
    taken so far, null where that is not known. A job that was changed: the terms that are new. A stage:
    ``stage``. A batch size that was set aside: ``batch_size``, ``failure_reason``. A drift: ``trial_number``
    and ``batch_size`` of the training that showed it, ``expected_cost`` and ``seen_cost`` (joules).
    """

    job_id: str
    kind: Kind
    timestamp: datetime
    detail: dict[str, Any]
