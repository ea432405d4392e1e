"""What the service's answers hold for those who train."""

from msgspec import Struct


class Suggestion(Struct, frozen=True):
    """The answer to a request for a batch size, and the body that ends its trial."""

    job_id: str
    batch_size: int
    trial_number: int


class Verdict(Struct, frozen=True):
    """The answer to a report."""

    stop_train: bool
    converged: bool
