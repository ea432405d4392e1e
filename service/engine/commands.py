"""What the engine can be asked to do; each command is about one job."""

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct

from core.change import Value
from core.records import Report, Specification, Trial, Verdict


class Once(Struct, frozen=True):
    """Says that a command is carried out once, however often it is asked.

    ``key`` tells the call, ``place`` the command in it, ``fingerprint`` what was asked. A call of many
    commands ``keeps_refusals``; of one that was refused nothing is kept, since nothing was done.
    """

    key: str
    fingerprint: str
    place: int = 0
    keeps_refusals: bool = False


class Asked(Struct, frozen=True, kw_only=True):
    """Base of the commands."""

    once: Once | None = None


class Register(Asked, frozen=True):
    """Register a job, or find that it is registered; answered with a ``Registered``.

    ``seed`` starts the job's random stream. ``is_named`` says that the client chose the job's name: one that
    the service made up must not be taken. Where the job exists, members of the specification that are in
    ``unnamed`` are not compared: the client has not named them. ``actor`` is on whose behalf it is done, and
    ``reach`` what the names of the jobs begin with that it may begin with.
    """

    specification: Specification
    seed: int
    is_named: bool
    actor: str
    unnamed: Collection[str] = ()
    reach: str = ""

    @property
    def job_id(self) -> str:
        """The job's name."""
        return self.specification.job_id


class Suggest(Asked, frozen=True):
    """Dispatch a new trial; answered with a ``core.records.Trial``."""

    job_id: str


class Begin(Asked, frozen=True):
    """Dispatch a trial whose batch size its training has chosen; answered with a ``core.records.Trial``."""

    job_id: str
    batch_size: int


class Tell(Asked, frozen=True):
    """Report an epoch; answered with a ``core.records.Verdict``."""

    report: Report

    @property
    def job_id(self) -> str:
        """The job's name."""
        return self.report.job_id

    @property
    def trial_number(self) -> int:
        """The trial's number."""
        return self.report.trial_number


class End(Asked, frozen=True):
    """End a trial, Failed where it is still Dispatched, for a reason if one is known; answered with None."""

    job_id: str
    batch_size: int
    trial_number: int
    reason: str | None = None


class Beat(Asked, frozen=True):
    """Renew the lease of a running trial; answered with a ``Lease``."""

    job_id: str
    trial_number: int


class Expire(Asked, frozen=True):
    """Fail the trials of a job whose leases have run out; answered with None."""

    job_id: str


class Reset(Asked, frozen=True):
    """Start a job over, its history kept, on behalf of ``actor``; answered with a ``Started``."""

    job_id: str
    actor: str


class Change(Asked, frozen=True):
    """Change terms of a job, by name, on behalf of ``actor``; answered with an ``Altered``."""

    job_id: str
    terms: Mapping[str, Value]
    actor: str


class Pause(Asked, frozen=True):
    """Let a job explore nothing, or explore again, on behalf of ``actor``; answered with a ``Paused``."""

    job_id: str
    is_paused: bool
    actor: str


class Delete(Asked, frozen=True):
    """Delete a job and all that belongs to it, on behalf of ``actor``; answered with None."""

    job_id: str
    actor: str


class Registered(Struct, frozen=True):
    """The specification in force, and whether this registration created the job."""

    specification: Specification
    created: bool


class Lease(Struct, frozen=True):
    """The lease of a trial, and its end in UTC; None where it has none."""

    job_id: str
    trial_number: int
    lease_seconds: float | None
    lease_expires: datetime | None


class Started(Struct, frozen=True):
    """A job that starts over, and the number of its first trial then."""

    job_id: str
    first_trial_number: int


class Paused(Struct, frozen=True):
    """Whether a job explores nothing any more, and whether this call has changed that."""

    job_id: str
    is_paused: bool
    is_new: bool


class Altered(Struct, frozen=True):
    """The specification of a job in force, and the terms that a call has changed."""

    specification: Specification
    terms: Mapping[str, Value]


Command = Register | Suggest | Begin | Tell | End | Beat | Expire | Reset | Change | Pause | Delete
Outcome = Registered | Trial | Verdict | Lease | Started | Altered | Paused | None
