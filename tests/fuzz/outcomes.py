"""What a call is answered in the model of the protocol."""

from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """An answer that is a problem of some kind; ``phrase`` is in its message."""

    status: int
    kind: str
    phrase: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer that is not; ``phrase`` is in its message, where it has one, which says if it came late."""

    status: int
    body: Body | None
    phrase: str = ""
    is_late: bool = False


@dataclass
class Trial:
    """A training; seconds and joules once it has a result, ``was_heard`` once it has reported an epoch.

    ``curve`` is what a policy keeps of its reports.
    """

    number: int
    batch_size: int
    kind: str
    status: str = "Dispatched"
    was_heard: bool = False
    time: float | None = None
    energy: float | None = None
    converged: bool | None = None
    reason: str | None = None
    is_late: bool = False
    energy_source: str | None = None
    epochs: int | None = None
    curve: str | None = None


def row_of(trial: Trial) -> tuple[Any, ...]:
    """Return what there is to see of a trial."""
    return (
        trial.number,
        trial.batch_size,
        trial.kind,
        trial.status,
        trial.time,
        trial.energy,
        trial.converged,
        trial.reason,
        trial.is_late,
        trial.energy_source,
        trial.epochs,
    )


@dataclass(frozen=True)
class Dispatch:
    """A new trial, whose batch size is 0 until it is known which of some the service has chosen."""

    job_id: str
    trial: Trial
    batch_sizes: frozenset[int]


def verdict(phrase: str, *, stop_train: bool, converged: bool, is_late: bool = False) -> Answer:
    """Return the answer to a report."""
    return Answer(200, {"stop_train": stop_train, "converged": converged}, phrase, is_late)
