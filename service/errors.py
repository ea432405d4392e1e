"""What the service refuses, and how each refusal is called.

ServiceError
├── InvalidRequest            422
├── MalformedRequest          400
├── HeadTooLarge              431
├── BodyTooLarge              413
├── RequestTimeout            408
├── Unauthorized              401
├── Forbidden                 403
├── ForeignOrigin             403
├── OpenToProxy               403
├── UnknownHost               421
├── UnknownJob                400
├── UnknownTrial              400
├── TrialFailed               400
├── JobNotFound               404
├── TrialNotFound             404
├── TrialOver                 409
├── SpecificationConflict     409
├── JobIdTaken                409
├── NoBatchSizeLeft           409
├── KnowledgeUnreadable       409
├── NotInstalled              501
├── KeyReused                 422
└── Unavailable               503
    ├── Overloaded
    └── DatabaseUnavailable

OpeningError                  the database cannot be served
"""

from http import HTTPStatus
from typing import ClassVar

from msgspec import Struct

from core import errors as core_errors

NOTHING_WRITTEN = (
    "The database did not take the transaction and nothing was written; try again, and look at the service's "
    "log if it stays so."
)


UNREADABLE = "The database cannot be read; try again, and look at the service's log if it stays so."


class Flaw(Struct, frozen=True):
    """One thing that is wrong with a request: where, what, and of which kind."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class ServiceError(Exception):
    """Base of all refusals; ``str`` gives a sentence that says what to do."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    problem: ClassVar[str] = "internal"
    headers: ClassVar[dict[str, str]] = {}


class InvalidRequest(ServiceError):
    """The request is not of the form the call takes."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = "invalid-request"

    def __init__(self, *flaws: Flaw) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, flaw.loc))}: {flaw.msg}" for flaw in flaws))
        self.flaws = flaws


class MalformedRequest(ServiceError):
    """What came is not HTTP/1.1, or HTTP that could be read in two ways."""

    status = HTTPStatus.BAD_REQUEST
    problem = "malformed-request"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The request is not well-formed HTTP/1.1 ({reason}); send it anew.")


class HeadTooLarge(ServiceError):
    """The request line and the headers are past the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    problem = "head-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request line and headers are larger than {limit} bytes; send smaller ones.")


class BodyTooLarge(ServiceError):
    """The body is past the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    problem = "body-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes; send a smaller one.")


class RequestTimeout(ServiceError):
    """The client took too long to send a request."""

    status = HTTPStatus.REQUEST_TIMEOUT
    problem = "request-timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The request was not whole within {seconds:g} s and nothing was done; send it anew."
        )


class Unauthorized(ServiceError):
    """The call needs a token, and came with none in force."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "unauthorized"
    # Not Basic too: a browser would ask its user, and send what it was given with the requests of any page.
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="batchbandit"'}


class Forbidden(ServiceError):
    """The token is not for this call, or not for this job."""

    status = HTTPStatus.FORBIDDEN
    problem = "forbidden"


class ForeignOrigin(ServiceError):
    """A browser asks on behalf of a page of another site."""

    status = HTTPStatus.FORBIDDEN
    problem = "foreign-origin"


class OpenToProxy(ServiceError):
    """A proxy passes a request on to a service that is open since nobody but its machine reaches it."""

    status = HTTPStatus.FORBIDDEN
    problem = "open-to-proxy"


class UnknownHost(ServiceError):
    """The request is for a name that the service does not go by."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    problem = "unknown-host"


class UnknownJob(ServiceError):
    """A call for a job that is not registered."""

    status = HTTPStatus.BAD_REQUEST
    problem = "unknown-job"


class UnknownTrial(ServiceError):
    """A report for a trial that was not dispatched."""

    status = HTTPStatus.BAD_REQUEST
    problem = "unknown-trial"


class TrialFailed(ServiceError):
    """A report for a trial that has failed."""

    status = HTTPStatus.BAD_REQUEST
    problem = "trial-failed"


class JobNotFound(ServiceError):
    """There is no such job."""

    status = HTTPStatus.NOT_FOUND
    problem = "job-not-found"


class TrialNotFound(ServiceError):
    """There is no such trial to end or to keep."""

    status = HTTPStatus.NOT_FOUND
    problem = "trial-not-found"


class TrialOver(ServiceError):
    """A heartbeat of a trial that no longer runs."""

    status = HTTPStatus.CONFLICT
    problem = "trial-over"


class KeyReused(ServiceError):
    """An idempotency key that came with another request before."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = "key-reused"


class SpecificationConflict(ServiceError):
    """The job is registered with another specification."""

    status = HTTPStatus.CONFLICT
    problem = "specification-conflict"


class JobIdTaken(ServiceError):
    """A name that the service made up for a job is taken; another one is to be made."""

    status = HTTPStatus.CONFLICT
    problem = "job-id-taken"


class NoBatchSizeLeft(ServiceError):
    """The job has no batch size to use."""

    status = HTTPStatus.CONFLICT
    problem = "no-batch-size-left"


class KnowledgeUnreadable(ServiceError):
    """What is known of the job is damaged."""

    status = HTTPStatus.CONFLICT
    problem = "knowledge-unreadable"


class NotInstalled(ServiceError):
    """What would answer the call is an extra that is not here."""

    status = HTTPStatus.NOT_IMPLEMENTED
    problem = "not-installed"


class Unavailable(ServiceError):
    """The service cannot answer now; nothing was done."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = "unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class Overloaded(Unavailable):
    """The queue of commands is full."""

    problem = "overloaded"


class DatabaseUnavailable(Unavailable):
    """The database refused the transaction, and nothing was written unless the sentence says otherwise."""

    problem = "database-unavailable"

    def __init__(self, sentence: str = NOTHING_WRITTEN) -> None:
        super().__init__(sentence)


class OpeningError(Exception):
    """The database cannot be served; ``str`` gives a sentence that says what to do."""


def by_problem() -> dict[str, type[ServiceError]]:
    """Return the refusals by the names of their problems."""
    waiting, found = [ServiceError], {}
    while waiting:
        kind = waiting.pop()
        found[kind.problem] = kind
        waiting += kind.__subclasses__()
    return found


def from_core(error: core_errors.CoreError) -> ServiceError:
    """Return the refusal that one of core's plain errors is to a client."""
    if isinstance(error, core_errors.CostOutOfRange):
        return InvalidRequest(Flaw(("body",), str(error), "value_error.cost"))
    if isinstance(error, core_errors.UnknownBatchSize):
        return InvalidRequest(Flaw(("body", "batch_size"), str(error), "value_error"))
    if isinstance(error, core_errors.TrialFailed):
        return TrialFailed(str(error))
    if isinstance(error, core_errors.NoBatchSizeLeft):
        return NoBatchSizeLeft(str(error))
    if isinstance(error, core_errors.KnowledgeUnreadable):
        return KnowledgeUnreadable(str(error))
    return ServiceError(str(error))
