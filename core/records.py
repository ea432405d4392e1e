"""The plain records that core decides on: immutable, typed, with slots."""

from datetime import datetime
from enum import StrEnum

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


class Terms(Struct, frozen=True):
    """What a client states about a job, its batch sizes aside.

    ``max_power`` is in watts, of all GPUs of the job together; ``mab_prior_mean`` in joules,
    ``mab_prior_precision`` in joules^-2. ``beta_knob`` None means no early stop, ``window_size`` <= 0 all
    history, ``mab_seed`` None a stream seeded from the operating system's entropy.
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


class Specification(Terms, frozen=True):
    """A job as it was registered: its terms and its batch sizes, ascending."""

    batch_sizes: tuple[int, ...]


class Job(Terms, frozen=True):
    """A job as it stands: its terms and what its trials have made of it.

    ``mab_random_generator_state`` is the state of the job's random stream, for ``core.kernels.stream``.
    ``min_cost`` is the lowest cost, in joules, of a trial that converged, ``min_cost_batch_size`` its batch
    size, or the default while there is none.
    """

    mab_random_generator_state: str
    exp_default_batch_size: int
    stage: Stage
    min_cost: float | None
    min_cost_batch_size: int
    last_trial_number: int


class Trial(Struct, frozen=True):
    """One training of a job at one batch size; ``time`` in seconds, ``energy`` in joules, times in UTC."""

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
    """What a training says after an epoch: cumulative seconds and joules, the metric, epochs from 1."""

    job_id: str
    batch_size: int
    trial_number: int
    time: float
    energy: float
    metric: float
    current_epoch: int


class Verdict(Struct, frozen=True):
    """What a report means to the training that sent it."""

    stop_train: bool
    converged: bool
    message: str
