"""What the client raises, all of it before a training begins or for a mistake in the script.

BatchbanditError
|-- InvalidJob           a JobSpec that no service would take; also a ValueError
|-- OutOfOrder           a call that another one must come before
|-- TrainFailed          BatchSizeOptimizer.on_evaluate: told to stop without having converged
`-- ServiceError         inside the client only: a trial catches it, says so once and goes on
    |-- Unreachable      no answer, or one that says to come again later
    `-- Refused          a 4xx answer: coming again at once would not help
"""

from __future__ import annotations

FINAL = frozenset((400, 404, 409, 422))
"""Refusals of what is sent, whoever sends it and whenever."""


class BatchbanditError(Exception):
    """Base of what the client raises."""


class InvalidJob(BatchbanditError, ValueError):
    """A job specification with a value that no service would take."""


class OutOfOrder(BatchbanditError, RuntimeError):
    """A call that another one must come before."""


class TrainFailed(BatchbanditError, RuntimeError):
    """The service said stop, and the training has not converged."""


class ServiceError(BatchbanditError):
    """Base of what goes wrong with the service; ``is_final`` says that asking again will never help."""

    is_final = False


class Unreachable(ServiceError):
    """The service gave no answer in time.

    ``is_certain`` says that no request can have reached it; ``retry_after`` are the seconds after which it
    wants to be asked again, 0 where it has not said.
    """

    def __init__(self, sentence: str, *, is_certain: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.is_certain = is_certain
        self.retry_after = retry_after


class Refused(ServiceError):
    """The service answered with a 4xx ``status``; the sentence is its own.

    That is final unless a new token or another setting of the service may end it.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.is_final = status in FINAL
