"""Results and refusals as HTTP answers."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.errors import Flaw, InvalidRequest, ServiceError
from service.web.wire import ProblemBody

_encode = msgspec.json.Encoder().encode


def answer(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a JSON answer."""
    return Response(_encode(body), status_code=status, media_type=media_type, headers=headers)


def problem(
    kind: str, status: HTTPStatus, message: str, detail: str | tuple[Flaw, ...], headers: Mapping[str, str]
) -> Response:
    """Return an error as RFC 9457 has it, with what existing clients print in ``message``."""
    body = ProblemBody(
        type=f"urn:batchbandit:problem:{kind}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        message=message,
    )
    return answer(body, status, "application/problem+json", headers)


async def refusal(request: Request, error: Exception) -> Response:
    """Answer for whatever a route raised: the one place where exceptions become answers."""
    match error:
        case InvalidRequest():
            return problem(error.problem, error.status, str(error), error.flaws, error.headers)
        case ServiceError():
            return problem(error.problem, error.status, str(error), str(error), error.headers)
        case ClientDisconnect():
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it: the client has hung up
        case HTTPException():
            status = HTTPStatus(error.status_code)
            kind = status.phrase.lower().replace(" ", "-")
            sentence = error.detail
            if status is HTTPStatus.NOT_FOUND:
                sentence = f"There is nothing at {request.url.path[:100]}; /openapi.json lists the calls."
            return problem(kind, status, sentence, sentence, error.headers or {})
    sentence = "The service failed at this request; its log says more."
    return problem("internal", HTTPStatus.INTERNAL_SERVER_ERROR, sentence, sentence, {})
