"""The specification of a recurring training job."""

from __future__ import annotations

import math
import operator
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from batchbandit.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_INTEGER = 2**31 - 1
LARGEST_SEED = 2**63 - 1
LARGEST_QUANTITY = 1e100
MOST_BATCH_SIZES = 1000
LONGEST_JOB_ID = 400
LONGEST_PREFIX = 300
LONGEST_MODEL = 300
LONGEST_LEASE = 10 * 366 * 86400.0
POLICIES = ("zeus", "frugal")
STARTING_WARM = ("frugal",)
"""The policies that can begin with what another job has shown."""


@dataclass(frozen=True)
class JobSpec:
    """A job that recurs: what may be chosen, what is to be reached, and what counts as cost.

    The members are those of the reference's ``JobSpec``, with its defaults, and refused here where the
    service would refuse them. The cost of a training is ``eta_knob * joules + (1 - eta_knob) * max_power *
    seconds``. ``beta_knob`` stops a training that costs more than so many times the cheapest, None never.

    Args:
        batch_sizes: The batch sizes to choose from: of all devices together, whatever their number.
        default_batch_size: One of them, tried first, and used where nobody can be asked.
        job_id: The job's name, the same at every recurrence. Without one every run is a job of its own.
        job_id_prefix: What the name starts with; the whole name where it is None.
        max_power: The highest power of all GPUs of the job together, in watts; found where it is None.
        number_of_gpus: Found where it is None.
        gpu_model: Found where it is None.
        lease_seconds: How long the service waits for a heartbeat; None is the service's own default.
        max_failures: Failures in a row that set a batch size aside; None is the service's own default.
        policy: How batch sizes are chosen, one of ``POLICIES``; None is the service's own default.
        warm_start_from: With the policy ``frugal``, the ``job_id`` of another job to begin with, as that of
            the same training on another GPU, or ``"*"`` for those with the same prefix.

    Raises:
        InvalidJob: A value that no service would take.
    """

    batch_sizes: Sequence[int]
    default_batch_size: int
    job_id: str | None = None
    job_id_prefix: str | None = None
    eta_knob: float = 0.5
    beta_knob: float | None = 2.0
    target_metric: float = 0.5
    higher_is_better_metric: bool = True
    max_epochs: int = 100
    num_pruning_rounds: int = 2
    window_size: int = 0
    mab_prior_mean: float = 0.0
    mab_prior_precision: float = 0.0
    mab_num_explorations: int = 2
    mab_seed: int | None = None
    max_power: float | None = None
    number_of_gpus: int | None = None
    gpu_model: str | None = None
    lease_seconds: float | None = None
    max_failures: int | None = None
    policy: str | None = None
    warm_start_from: str | None = None

    def __post_init__(self) -> None:
        """Bring the values into their types, and check them."""
        self._set("batch_sizes", self._sizes())
        self._set("default_batch_size", _integer("default_batch_size", self.default_batch_size, 1))
        if self.default_batch_size not in self.batch_sizes:
            raise InvalidJob("default_batch_size is not one of batch_sizes: add it there, or change it.")
        self._check_name()
        for name, least, most in _INTEGERS:
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                self._set(name, _integer(name, value, least, most))
        for name, lowest, highest, is_open in _NUMBERS:
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                self._set(name, _number(name, value, lowest, highest, is_open=is_open))
        if not isinstance(self.higher_is_better_metric, bool):
            raise InvalidJob("higher_is_better_metric is neither True nor False.")
        if self.gpu_model is not None:
            _check_text("gpu_model", self.gpu_model, LONGEST_MODEL)
            if not self.gpu_model:
                raise InvalidJob("gpu_model is empty: leave it out to have it found.")
        self._check_policy()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _sizes(self) -> tuple[int, ...]:
        if isinstance(self.batch_sizes, (str, bytes)) or not hasattr(self.batch_sizes, "__iter__"):
            raise InvalidJob("batch_sizes is not a list of batch sizes.")
        sizes = sorted(_integer("a batch size", size, 1) for size in self.batch_sizes)
        if not sizes:
            raise InvalidJob("batch_sizes is empty: name at least one.")
        if len(sizes) > MOST_BATCH_SIZES:
            raise InvalidJob(f"batch_sizes has {len(sizes)} members; {MOST_BATCH_SIZES} is the most.")
        if len(set(sizes)) < len(sizes):
            raise InvalidJob("batch_sizes names a batch size twice: leave the doubled ones out.")
        return tuple(sizes)

    def _check_name(self) -> None:
        if self.job_id is None and self.job_id_prefix is None:
            raise InvalidJob("job_id is missing: name the job, the same at every recurrence.")
        if self.job_id is not None:
            _check_text("job_id", self.job_id, LONGEST_JOB_ID)
            if not self.job_id:
                raise InvalidJob("job_id is empty: name the job, the same at every recurrence.")
        if self.job_id_prefix is None:
            return
        _check_text("job_id_prefix", self.job_id_prefix, LONGEST_PREFIX)
        if self.job_id is not None and not self.job_id.startswith(self.job_id_prefix):
            raise InvalidJob("job_id does not start with job_id_prefix: change one of them.")

    def _check_policy(self) -> None:
        if self.policy is not None and self.policy not in POLICIES:
            raise InvalidJob(f"policy is {self.policy!r:.60}; it must be one of {', '.join(POLICIES)}.")
        if self.warm_start_from is None:
            return
        _check_text("warm_start_from", self.warm_start_from, LONGEST_JOB_ID)
        if not self.warm_start_from:
            raise InvalidJob("warm_start_from is empty: name a job, or leave it out.")
        if self.policy not in STARTING_WARM:
            raise InvalidJob(
                f"warm_start_from is for the policy {', '.join(STARTING_WARM)}: name it, or leave this out."
            )
        if self.warm_start_from == self.job_id:
            raise InvalidJob("warm_start_from is the job itself: name another job, or leave it out.")

    def named(self) -> JobSpec:
        """Return the job with a name: its own, or else its prefix with eight random digits."""
        if self.job_id is not None:
            return self
        return replace(self, job_id=f"{self.job_id_prefix}-{secrets.token_hex(4)}")

    def body(self) -> dict[str, Any]:
        """Return what registers a job that has its name, and its GPUs filled in.

        Members that are None are left to the service, except ``beta_knob``, whose None says never.
        """
        members = {name: value for name, value in asdict(self).items() if value is not None}
        members.setdefault("job_id_prefix", str(self.job_id)[:LONGEST_PREFIX])
        return {**members, "batch_sizes": list(self.batch_sizes), "beta_knob": self.beta_knob}


_INTEGERS = (
    ("max_epochs", 1, LARGEST_INTEGER),
    ("num_pruning_rounds", 0, LARGEST_INTEGER),
    ("window_size", -LARGEST_INTEGER - 1, LARGEST_INTEGER),
    ("mab_num_explorations", 0, LARGEST_INTEGER),
    ("mab_seed", 0, LARGEST_SEED),
    ("number_of_gpus", 1, LARGEST_INTEGER),
    ("max_failures", 1, LARGEST_INTEGER),
)
# The last member says that the least value itself is not allowed.
_NUMBERS = (
    ("eta_knob", 0.0, 1.0, False),
    ("beta_knob", 0.0, math.inf, True),
    ("target_metric", -math.inf, math.inf, False),
    ("mab_prior_mean", -LARGEST_QUANTITY, LARGEST_QUANTITY, False),
    ("mab_prior_precision", 0.0, LARGEST_QUANTITY, False),
    ("max_power", 0.0, LARGEST_QUANTITY, True),
    ("lease_seconds", 0.0, LONGEST_LEASE, True),
)
_OPTIONAL = frozenset(
    ("beta_knob", "mab_seed", "max_power", "number_of_gpus", "lease_seconds", "max_failures")
)


def _integer(name: str, value: object, least: int, most: int = LARGEST_INTEGER) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):  # NumPy's integers have it too
        raise InvalidJob(f"{name} is {value!r:.60}, which is no integer.")
    number = operator.index(value)
    if not least <= number <= most:
        raise InvalidJob(f"{name} is {number!r:.60}; it must be from {least} to {most}.")
    return number


def _number(name: str, value: object, least: float, most: float, *, is_open: bool) -> float:
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise InvalidJob(f"{name} is {value!r:.60}, which is no number.")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidJob(f"{name} is {number}; it must be finite.")
    if number < least or number > most or (is_open and number == least):
        since = "above" if is_open else "at least"
        until = "" if math.isinf(most) else f" and at most {most:g}"
        raise InvalidJob(f"{name} is {number:g}; it must be {since} {least:g}{until}.")
    return number


def _check_text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise InvalidJob(f"{name} is {value!r:.60}, which is no text.")
    if len(value) > longest:
        raise InvalidJob(f"{name} has {len(value)} characters; {longest} is the most.")
    if "\x00" in value:
        raise InvalidJob(f"{name} has a NUL in it.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidJob(f"{name} has half a character in it.") from None
