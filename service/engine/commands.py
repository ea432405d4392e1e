"""What the engine can be asked to do; each command is about one job."""

from msgspec import Struct

from core.records import Report, Specification


class Register(Struct, frozen=True):
    """Register a job, or find that it is registered; answered with a ``Registered``.

    ``seed`` starts the job's random stream. ``is_named`` says that the client chose the job's name: one that
    the service made up must not be taken. ``actor`` is on whose behalf it is done.
    """

    specification: Specification
    seed: int
    is_named: bool
    actor: str

    @property
    def job_id(self) -> str:
        """The job's name."""
        return self.specification.job_id


class Suggest(Struct, frozen=True):
    """Dispatch a new trial; answered with a ``core.records.Trial``."""

    job_id: str


class Tell(Struct, frozen=True):
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


class End(Struct, frozen=True):
    """End a trial, Failed where it is still Dispatched; answered with None."""

    job_id: str
    batch_size: int
    trial_number: int


class Delete(Struct, frozen=True):
    """Delete a job and all that belongs to it, on behalf of ``actor``; answered with None."""

    job_id: str
    actor: str


class Registered(Struct, frozen=True):
    """The specification in force, and whether this registration created the job."""

    specification: Specification
    created: bool


Command = Register | Suggest | Tell | End | Delete
