"""Results and refusals as HTTP answers."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.context import concerned
from service.errors import Flaw, InvalidRequest, ServiceError
from service.web.wire import ProblemBody

_encode = msgspec.json.Encoder().encode

# What is no page loads and frames nothing where a browser shows it all the same; and nobody keeps it.
FOR_BROWSERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class Answer(Response):
    """An answer that is no page, JSON for the most part.

    Its headers are made here, since Starlette looks through what it was given for each.
    """

    media_type = "application/json"

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers as they are sent."""
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", str(self.media_type).encode()),
            *FOR_BROWSERS,
            *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
        ]


def answer(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a JSON answer."""
    return Answer(_encode(body), status_code=status, media_type=media_type, headers=headers)


def problem(
    kind: str, status: HTTPStatus, message: str, detail: str | tuple[Flaw, ...] | None = None
) -> ProblemBody:
    """Return an error as RFC 9457 has it, with what existing clients print in ``message``."""
    return ProblemBody(
        type=f"urn:batchbandit:problem:{kind}",
        title=status.phrase,
        status=status.value,
        detail=message if detail is None else detail,
        message=message,
    )


def problem_of(error: Exception) -> ProblemBody:
    """Return what a client is told of an exception."""
    match error:
        case InvalidRequest():
            return problem(error.problem, error.status, str(error), error.flaws)
        case ServiceError():
            return problem(error.problem, error.status, str(error))
    sentence = "The service failed at this request; its log says more."
    return problem(ServiceError.problem, ServiceError.status, sentence)


def refusal_of(error: ServiceError) -> Response:
    """Return the answer that a refusal is."""
    return answer(problem_of(error), error.status, "application/problem+json", error.headers)


def account_of(request: Request, error: Exception) -> tuple[ProblemBody, Mapping[str, str]]:
    """Return what a client is told of an exception that a route raised, and the headers that go with it."""
    match error:
        case HTTPException():
            status = HTTPStatus(error.status_code)
            sentence = error.detail
            if status is HTTPStatus.NOT_FOUND:
                sentence = f"There is nothing at {request.url.path[:100]}; /openapi.json lists the calls."
            return problem(kind_of(status), status, sentence), error.headers or {}
        case ServiceError():
            request.scope["problem"] = error.problem
            return problem_of(error), error.headers
    # uvicorn closes the connection after a fault: a client that is not told would send on it.
    return problem_of(error), {"Connection": "close", **named_again()}


async def refusal(request: Request, error: Exception) -> Response:
    """Answer for whatever a route raised: the one place where exceptions become answers."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it: the client has hung up
    body, headers = account_of(request, error)
    return answer(body, HTTPStatus(body.status), "application/problem+json", headers)


def named_again() -> dict[str, str]:
    """Return the header that names the request: what is answered for a fault passes nobody who adds it."""
    asked = concerned.get()
    return {"X-Request-Id": asked[0].request_id} if asked else {}


def kind_of(status: HTTPStatus) -> str:
    """Return how a problem is called that is none of the service's own."""
    return status.phrase.lower().replace(" ", "-")
