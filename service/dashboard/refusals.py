"""Refusals as pages where a person has asked, and as problems for programs."""

from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.dashboard.pages import address, page, redirect
from service.dashboard.routes import PATHS
from service.errors import ForeignOrigin, InvalidRequest, Unauthorized, Unavailable
from service.web import answers

TITLES = {
    HTTPStatus.FORBIDDEN: "That is not for you",
    HTTPStatus.NOT_FOUND: "Nothing is here",
    HTTPStatus.METHOD_NOT_ALLOWED: "That is no page",
    HTTPStatus.MISDIRECTED_REQUEST: "That is not the name of this service",
    HTTPStatus.UNPROCESSABLE_ENTITY: "That cannot be asked",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not just now",
}
"""Headings of error pages."""


async def refusal(request: Request, error: Exception) -> Response:
    """Answer for whatever a route raised."""
    if isinstance(error, ClientDisconnect) or not is_for_person(request):
        return await answers.refusal(request, error)
    asked = own_address(request)
    if isinstance(error, Unauthorized):
        return redirect(address("/signin", {"next": asked if asked != "/" else None}))
    body, headers = answers.account_of(request, error)
    status = HTTPStatus(body.status)
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=TITLES.get(status, "Something went wrong"),
        sentences=[flaw.msg for flaw in error.flaws] if isinstance(error, InvalidRequest) else [body.message],
        code=status.value,
        again=asked if isinstance(error, Unavailable) or status is HTTPStatus.INTERNAL_SERVER_ERROR else None,
        onward=asked if isinstance(error, ForeignOrigin) and is_visit(request) else None,
    )


def is_for_person(request: Request) -> bool:
    """Tell whether a browser shows the answer to somebody; the calls of programs are none of its business."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def own_address(request: Request) -> str | None:
    """Return the address of the page that was asked for, None where none was."""
    if request.method not in {"GET", "HEAD"} or request.url.path not in PATHS:
        return None
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def is_visit(request: Request) -> bool:
    """Tell whether somebody has followed a link of another site: the page that says so leads on by itself.

    What it leads to is asked by a page of the service's own, with its cookie; pages change nothing.
    """
    fetch = (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest"))
    return fetch == ("navigate", "document") and "origin" not in request.headers
