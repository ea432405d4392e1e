"""The plain records that core decides on: immutable, typed, with slots."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Stage(StrEnum):
    """Where a job stands."""

    PRUNING = "Pruning"
    MAB = "MAB"


class TrialType(StrEnum):
    """Why a trial was dispatched."""

    EXPLORATION = "Exploration"
    CONCURRENT = "Concurrent"
    MAB = "MAB"


class TrialStatus(StrEnum):
    """How far a trial is."""

    DISPATCHED = "Dispatched"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Policy(StrEnum):
    """How a job's batch sizes are chosen."""

    ZEUS = "zeus"
    FRUGAL = "frugal"


class Terms(Struct, frozen=True):
    """What a client states about a job, its batch sizes aside.

    ``max_power`` is in watts, of all GPUs of the job together; ``mab_prior_mean`` in joules,
    ``mab_prior_precision`` in joules^-2. ``beta_knob`` None means no early stop, ``window_size`` <= 0 all
    history, ``mab_seed`` None a stream seeded from the operating system's entropy. ``lease_seconds`` is how
    long a trial whose training sends heartbeats may say nothing, None for ever; ``max_failures`` how often in
    a row trainings may fail at a batch size.
    """

    job_id: str
    job_id_prefix: str
    default_batch_size: int
    higher_is_better_metric: bool
    eta_knob: float
    beta_knob: float | None
    target_metric: float
    max_epochs: int
    num_pruning_rounds: int
    window_size: int
    max_power: float
    number_of_gpus: int
    gpu_model: str
    mab_prior_mean: float
    mab_prior_precision: float
    mab_num_explorations: int
    mab_seed: int | None
    lease_seconds: float | None
    max_failures: int


class Specification(Terms, frozen=True):
    """A job as it was registered: its terms and its batch sizes, ascending, and how it chooses among them.

    It begins with what the jobs that ``warm_start_from`` names have shown: one by its name, or ``LIKE_IT``.
    The members with a default are missing in what releases before have kept.
    """

    batch_sizes: tuple[int, ...]
    policy: Policy = Policy.ZEUS
    warm_start_from: str | None = None


LIKE_IT = "*"
"""Stands for all jobs with the prefix of a new one."""


class Failures(Struct, frozen=True, array_like=True):
    """How often in a row trainings have failed at a batch size, in thirds, and why the last one did."""

    thirds: int
    reason: str | None


class Job(Terms, frozen=True):
    """A job as it stands: its terms and what its trials have made of it.

    ``mab_random_generator_state`` is the state of the job's random stream, for ``core.kernels.stream``.
    ``min_cost`` is the lowest cost, in joules, of a trial that converged, ``min_cost_batch_size`` its batch
    size, or the default while there is none. ``failures`` are those of each batch size that has some. No
    lease of a running trial ends before ``next_expiry`` (UTC), None where no trial holds one. ``longest_gap``
    is the longest time between two reports, in seconds, once it makes leases longer. Trials up to
    ``reset_number`` were dispatched before the job was last reset and do not count in decisions.

    While it ``is_paused`` nothing is explored. ``registered`` are the values under which terms were
    registered that have been changed since. ``num_converged`` and the counts and sums beside it are of all
    its trials, for ``core.savings``: joules and seconds of those with a result, and of those that converged
    at the default batch size. ``last_activity`` (UTC) is when a trial was last dispatched or ended.

    ``knowledge`` is a text that only the policy reads, None of one that keeps none. ``num_drifts`` counts how
    often trainings have been found to cost something else than they did.
    """

    mab_random_generator_state: str
    exp_default_batch_size: int
    stage: Stage
    min_cost: float | None
    min_cost_batch_size: int
    last_trial_number: int
    failures: Mapping[int, Failures] = {}
    next_expiry: datetime | None = None
    longest_gap: float = 0.0
    reset_number: int = 0
    policy: Policy = Policy.ZEUS
    warm_start_from: str | None = None
    is_paused: bool = False
    registered: Mapping[str, int | float | None] = {}
    knowledge: str | None = None
    num_converged: int = 0
    num_unconverged: int = 0
    num_failed: int = 0
    spent_time: float = 0.0
    spent_energy: float = 0.0
    num_default: int = 0
    default_time: float = 0.0
    default_energy: float = 0.0
    num_drifts: int = 0
    last_activity: datetime | None = None


def specification_of(job: Job, batch_sizes: Sequence[int]) -> Specification:
    """Return a job's specification as it is in force."""
    return Specification(**stated(job), batch_sizes=tuple(batch_sizes))


def stated(of: Specification | Job) -> dict[str, Any]:
    """Return what a client has stated about a job, by name, its batch sizes aside."""
    return {name: getattr(of, name) for name in Specification.__struct_fields__ if name != "batch_sizes"}


class Trial(Struct, frozen=True):
    """One training of a job at one batch size; ``time`` in seconds, ``energy`` in joules, times in UTC.

    A Dispatched trial holds a lease until ``lease_expires``, None for ever. ``last_report`` is within a
    hundredth of a lease of its last report, ``has_heartbeat`` says that its training sends heartbeats.
    ``is_late`` marks a result that came after the lease had run out, ``energy_source`` where the energy was
    read, where the training said so, ``epochs`` how many it did, where that is known. ``drifted_from`` is
    what it was expected to cost (joules), of a result that has shown that trainings cost something else now.
    ``curve`` is a text that only the policy reads, of a trial that reports.
    """

    job_id: str
    batch_size: int
    trial_number: int
    start_timestamp: datetime
    type: TrialType
    status: TrialStatus
    end_timestamp: datetime | None = None
    time: float | None = None
    energy: float | None = None
    converged: bool | None = None
    lease_expires: datetime | None = None
    last_report: datetime | None = None
    has_heartbeat: bool = False
    failure_reason: str | None = None
    is_late: bool = False
    energy_source: str | None = None
    epochs: int | None = None
    drifted_from: float | None = None
    curve: str | None = None


class Arm(Struct, frozen=True):
    """A batch size in the bandit: the posterior of its mean reward, in joules and joules^-2."""

    job_id: str
    batch_size: int
    param_mean: float
    param_precision: float
    reward_precision: float
    num_observations: int


class Posterior(Struct, frozen=True):
    """Posterior mean, its precision, and the precision of one reward: joules and joules^-2."""

    mean: float
    precision: float
    reward_precision: float


class Report(Struct, frozen=True):
    """What a training says after an epoch: cumulative seconds and joules, the metric, epochs from 1.

    ``energy_source`` is where the joules were read.
    """

    job_id: str
    batch_size: int
    trial_number: int
    time: float
    energy: float
    metric: float
    current_epoch: int
    energy_source: str | None = None


class Verdict(Struct, frozen=True):
    """What a report means to the training that sent it."""

    stop_train: bool
    converged: bool
    message: str
