"""The bodies of the compatible calls: what is decoded is valid."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from core.change import Value
from core.cost import LARGEST_QUANTITY
from core.leases import EXPIRED
from core.policies import POLICIES
from core.records import Policy, Report, Specification, Trial
from service.errors import Flaw

MOST_BATCH_SIZES = 1000

# Postgres keeps no NUL in a text.
NO_NUL = r"^[^\x00]*$"
JobId = Annotated[str, Meta(min_length=1, max_length=400, pattern=NO_NUL)]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Quantity = Annotated[float, Meta(gt=0, le=LARGEST_QUANTITY)]
Note = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


LONGEST_LEASE = 10 * 366 * 86400.0
DEFAULTS = {"lease_seconds": 600.0, "max_failures": 3, "policy": Policy.ZEUS, "warm_start_from": None}
"""Of the members that the reference does not know."""


class Contradiction(ValueError):
    """Members that are well formed each and do not fit each other; ``member`` is the one to change."""

    def __init__(self, member: str, sentence: str) -> None:
        super().__init__(sentence)
        self.member = member


class JobBody(Struct, frozen=True, kw_only=True):
    """A job specification as a client sends it."""

    job_id: JobId | None = None
    job_id_prefix: Annotated[str, Meta(max_length=300, pattern=NO_NUL)]
    batch_sizes: Annotated[
        list[Positive],
        Meta(min_length=1, max_length=MOST_BATCH_SIZES, extra_json_schema={"uniqueItems": True}),
    ]
    default_batch_size: Positive
    eta_knob: Annotated[float, Meta(ge=0, le=1)] = 0.5
    beta_knob: Annotated[float, Meta(gt=0)] | None = 2.0
    target_metric: float = 0.5
    higher_is_better_metric: bool = True
    max_epochs: Positive = 100
    num_pruning_rounds: Count = 2
    window_size: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    mab_prior_mean: Annotated[float, Meta(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)] = 0.0
    mab_prior_precision: Annotated[float, Meta(ge=0, le=LARGEST_QUANTITY)] = 0.0
    mab_num_explorations: Count = 2
    mab_seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    max_power: Quantity
    number_of_gpus: Positive
    gpu_model: Annotated[str, Meta(min_length=1, max_length=300, pattern=NO_NUL)]
    lease_seconds: Annotated[float, Meta(gt=0, le=LONGEST_LEASE)] | UnsetType | None = UNSET
    max_failures: Positive | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    warm_start_from: JobId | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Check the members against each other.

        Raises:
            Contradiction: They do not fit; msgspec makes it the cause of a ``ValidationError``.
        """
        if len(set(self.batch_sizes)) < len(self.batch_sizes):
            raise Contradiction("batch_sizes", "Expected each batch size once: leave the doubled ones out")
        if self.default_batch_size not in self.batch_sizes:
            raise Contradiction(
                "default_batch_size", "Expected one of batch_sizes: add it there, or change it"
            )
        if self.job_id is not None and not self.job_id.startswith(self.job_id_prefix):
            raise Contradiction("job_id", "Expected a job_id that starts with job_id_prefix")
        self._check_policy()

    def _check_policy(self) -> None:
        if not isinstance(self.warm_start_from, str):
            return
        if not POLICIES[Policy.ZEUS if self.policy is UNSET else self.policy].STARTS_WARM:
            raise Contradiction(
                "warm_start_from",
                f"Expected null beside this policy, which starts cold: name policy {Policy.FRUGAL} with it",
            )
        if self.warm_start_from == self.job_id:
            raise Contradiction("warm_start_from", "Expected another job than the one that is registered")

    def specification(self, job_id: str) -> Specification:
        """Return the specification of a job of this name, batch sizes ascending."""
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        members |= {name: DEFAULTS[name] for name in self.unnamed()}
        return Specification(**members | {"job_id": job_id, "batch_sizes": tuple(sorted(self.batch_sizes))})

    def unnamed(self) -> tuple[str, ...]:
        """Return the members that the reference does not know and the client does not name."""
        return tuple(name for name in DEFAULTS if getattr(self, name) is UNSET)


class ReportBody(Struct, frozen=True, kw_only=True):
    """What a training sends after an epoch: seconds and joules since the trial began, epochs from 1.

    ``metric`` alone may be NaN or infinite. ``energy_source`` is where the joules were read.
    """

    job_id: JobId
    batch_size: Positive
    trial_number: Positive
    time: Quantity
    energy: Annotated[float, Meta(ge=0, le=LARGEST_QUANTITY)]
    metric: float
    current_epoch: Positive
    energy_source: Note | None = None

    def report(self) -> Report:
        """Return the report as core takes it."""
        return Report(
            job_id=self.job_id,
            batch_size=self.batch_size,
            trial_number=self.trial_number,
            time=self.time,
            energy=self.energy,
            metric=self.metric,
            current_epoch=self.current_epoch,
            energy_source=self.energy_source,
        )


class TrialBody(Struct, frozen=True, kw_only=True):
    """A trial by its name, as it is suggested."""

    job_id: JobId
    batch_size: Positive
    trial_number: Positive

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Return the name of a trial."""
        return cls(job_id=trial.job_id, batch_size=trial.batch_size, trial_number=trial.trial_number)


class BeginBody(Struct, frozen=True, kw_only=True):
    """The batch size at which a training has begun by itself."""

    batch_size: Positive


class ChangeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of a job that are to be others; those that are not named stay."""

    eta_knob: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    beta_knob: Annotated[float, Meta(gt=0)] | UnsetType | None = UNSET
    window_size: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | UnsetType = UNSET
    max_epochs: Positive | UnsetType = UNSET

    def terms(self) -> dict[str, Value]:
        """Return those that are named."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in named.items() if value is not UNSET}


class PausedBody(Struct, frozen=True):
    """Whether a job explores nothing."""

    job_id: str
    is_paused: bool


class EndBody(TrialBody, frozen=True, kw_only=True):
    """A trial that is over; ``reason`` says why: ``preempted``, ``unmeasured``, or an exception's name."""

    reason: Note | None = None

    def __post_init__(self) -> None:
        """Refuse a reason that is not the client's to give: a trial that has it takes late reports.

        Raises:
            Contradiction: As in ``JobBody``.
        """
        if self.reason == EXPIRED:
            raise Contradiction("reason", "Expected another reason: the service alone tells expired leases")


MOST_ITEMS = 1000
"""Of a bulk call."""


class JobIdBody(Struct, frozen=True):
    """A job by its name."""

    job_id: JobId


class JobIdsBody(Struct, frozen=True):
    """Jobs that each ask for a trial."""

    job_ids: Annotated[list[JobId], Meta(max_length=MOST_ITEMS)]


class ReportsBody(Struct, frozen=True):
    """Reports of any trials."""

    reports: Annotated[list[ReportBody], Meta(max_length=MOST_ITEMS)]


class ProblemBody(Struct, frozen=True, kw_only=True):
    """An error as RFC 9457 has it; ``message`` is what existing clients print.

    ``detail`` is the same sentence, or for a 422 the list of what is wrong.
    """

    type: str
    title: str
    status: int
    detail: str | tuple[Flaw, ...]
    message: str


class StateBody(Struct, frozen=True):
    """Whether the service is well."""

    status: str
