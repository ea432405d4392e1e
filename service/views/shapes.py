"""What is shown: joules, seconds and UTC times throughout; a cost is in joules at the job's ``eta_knob``."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from core.rationale import Rule
from core.records import Policy, Specification, Stage, TrialStatus, TrialType
from core.savings import Savings


class Activity(StrEnum):
    """What a job does: whether trials of it run, or an operator has paused it."""

    RUNNING = "running"
    IDLE = "idle"
    PAUSED = "paused"


class Trouble(StrEnum):
    """What is wrong with a job: it has no batch size left to try, or trainings of it fail."""

    STUCK = "stuck"
    FAILING = "failing"


class Problem(Struct, frozen=True):
    """What is wrong with a job, in a sentence that says what to do."""

    trouble: Trouble
    sentence: str


class JobSummary(Struct, frozen=True, kw_only=True):
    """A job in a list."""

    job_id: str
    policy: Policy
    stage: Stage
    activity: Activity
    problem: Problem | None
    default_batch_size: int
    best_batch_size: int | None
    """The one of the lowest posterior mean cost, in the pruning stage of the lowest cost so far."""
    num_running: int
    num_converged: int
    num_unconverged: int
    num_failed: int
    last_activity: datetime | None
    """When a trial was last dispatched or ended."""
    savings: Savings | None
    """None while no training has converged at the default batch size."""


class JobsView(Struct, frozen=True):
    """A page of jobs; ``next`` is the cursor of the one after it, None where it is the last."""

    jobs: list[JobSummary]
    next: str | None


class BatchSizeState(StrEnum):
    """Where a batch size stands: an arm of the bandit, still in the walk, out of it, or set aside.

    Where nothing is pruned, one of which no result counts is untried: there is none, or costs have drifted.
    """

    ARM = "arm"
    WALK = "walk"
    PRUNED = "pruned"
    UNTRIED = "untried"
    SET_ASIDE = "set_aside"


class BatchSizeView(Struct, frozen=True, kw_only=True):
    """What is known of a batch size, and how often it was chosen.

    ``mean_cost`` is the posterior mean, ``interval`` its central 95 % credible interval (None where it is
    unbounded), ``probability_best`` that of having the lowest mean cost of all arms; None where it is no arm.
    ``mean_time`` and ``mean_energy`` are those of its trials that converged since the last reset. ``share``
    is its part of all trials.
    """

    batch_size: int
    state: BatchSizeState
    mean_cost: float | None
    interval: tuple[float, float] | None
    num_observations: int
    probability_best: float | None
    num_trials: int
    share: float
    num_converged: int
    mean_time: float | None
    mean_energy: float | None
    failures_in_a_row: float
    failure_reason: str | None


class Round(Struct, frozen=True):
    """A round of the pruning stage, from 1, of so many."""

    number: int
    of: int


class SavingsView(Savings, frozen=True):
    """What was saved, and how that is computed."""

    how: str


class WeighedView(Struct, frozen=True, kw_only=True):
    """An arm as a decision saw it: posterior mean cost, its standard deviation, the cost that was drawn.

    Costs are at the ``eta_knob`` of that moment. ``deviation`` is None where nothing was known of the arm,
    ``sampled_cost`` where none was drawn.
    """

    batch_size: int
    mean_cost: float
    deviation: float | None
    num_observations: int
    sampled_cost: float | None


class DecisionView(Struct, frozen=True, kw_only=True):
    """Why a trial has its batch size; ``sentence`` says it in words.

    ``stage`` and ``rule`` are None for a trial that a release before this dispatched: it kept no reasons. Of
    what is probed, in joules, ``saving`` is what it is expected to save each training from then on, ``price``
    what it is expected to cost to find out.
    """

    job_id: str
    trial_number: int
    batch_size: int
    stage: Stage | None
    rule: Rule | None
    round: int | None
    sentence: str
    arms: list[WeighedView]
    saving: float | None
    price: float | None


class JobView(JobSummary, frozen=True, kw_only=True):
    """A job whole.

    ``registered`` are the values under which terms were registered that have been changed since,
    ``num_drifts`` how often its trainings were found to cost something else than they did.
    ``probability_best`` is that of ``best_batch_size``, None in the pruning stage.
    """

    specification: Specification
    registered: dict[str, int | float | None]
    num_drifts: int
    round: Round | None
    batch_sizes: list[BatchSizeView]
    probability_best: float | None
    savings: SavingsView | None
    last_decision: DecisionView | None


class TrialView(Struct, frozen=True, kw_only=True):
    """A trial; ``cost`` is that of its result at the job's ``eta_knob`` of today.

    ``epochs``, how many its training had done, are None of a result that a release before this has kept.
    ``drifted_from`` is what it was expected to cost, in joules at the ``eta_knob`` of then, where its result
    has shown that trainings cost something else now.
    """

    job_id: str
    trial_number: int
    batch_size: int
    type: TrialType
    status: TrialStatus
    start_timestamp: datetime
    end_timestamp: datetime | None
    time: float | None
    energy: float | None
    cost: float | None
    converged: bool | None
    epochs: int | None
    failure_reason: str | None
    is_late: bool
    energy_source: str | None
    drifted_from: float | None
    rule: Rule | None


class TrialsView(Struct, frozen=True):
    """A page of trials; ``next`` is the cursor of the one after it, None where it is the last."""

    trials: list[TrialView]
    next: str | None
