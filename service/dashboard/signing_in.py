"""Signing in: a token, kept in a cookie that scripts cannot read and other sites' pages do not send."""

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.credentials import Role
from service.dashboard.pages import page, redirect
from service.errors import Flaw, ForeignOrigin, InvalidRequest
from service.web.access import COOKIE
from service.web.decoding import read_body
from service.web.origins import is_own_page, origins_of

WRONG = "That is not a token of this service, or it has been revoked. Look whether all of it was copied."
OVER = "The token that you signed in with is no longer in force. Sign in with another one."
FOR_PROGRAMS = "That is a trainer's token, which reports trainings and reads nothing. Ask for a reader's."
FOREIGN = "Signing in and out is for the pages of this service; open them in a browser."
PAGES = ("/", "/job", "/trial")
"""Where one can be led after signing in."""
MOST_FIELDS = 10


async def ask(request: Request) -> Response:
    """Show the form, to who is not signed in."""
    onward = onward_of(request.query_params.get("next", ""))
    had_token = COOKIE in request.cookies
    if await _is_open(request) or (had_token and await _is_in_force(request, request.cookies[COOKIE])):
        return redirect(onward)
    return _form(request, onward, HTTPStatus.OK, OVER if had_token else None)


async def sign_in(request: Request) -> Response:
    """Take a token."""
    ensure_own_page(request)
    fields = await fields_of(request)
    onward = onward_of(fields.get("next", ""))
    if await _is_open(request):
        return redirect(onward)
    text = fields.get("token", "").strip()
    token = request.app.state.admission.recognise(text)
    if token is None:
        return _form(request, onward, HTTPStatus.UNAUTHORIZED, WRONG)
    if not token.role.includes(Role.READER):
        return _form(request, onward, HTTPStatus.FORBIDDEN, FOR_PROGRAMS)
    answer = redirect(onward)
    answer.set_cookie(COOKIE, text, httponly=True, samesite="strict", secure=is_encrypted(request))
    return answer


async def sign_out(request: Request) -> Response:
    """Forget a token."""
    ensure_own_page(request)
    answer = redirect("/signin")
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_encrypted(request))
    return answer


def onward_of(address: str) -> str:
    """Return a page's address as it is, and that of the first page instead of any other."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and parts.path in PAGES and address.startswith(parts.path)
    return address if is_own and address.isprintable() and "\\" not in address else "/"


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        InvalidRequest: The body is none.
    """
    body = await read_body(request)
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise InvalidRequest(Flaw(("body",), "Expected the fields of a form", "value_error")) from error
    return {name: values[0] for name, values in fields.items()}


def ensure_own_page(request: Request) -> None:
    """See that a form of the service's own is what is sent.

    Raises:
        ForeignOrigin: It is not.
    """
    if not is_own_page(request.scope):
        raise ForeignOrigin(FOREIGN)


def is_encrypted(request: Request) -> bool:
    """Tell whether the browser speaks TLS, with the service or with a proxy in front of it."""
    origin = origins_of(request.scope).origin or b""
    return request.url.scheme == "https" or origin.lower().startswith(b"https:")


async def _is_open(request: Request) -> bool:
    state = request.app.state
    issued = await state.admission.issued()
    return bool(issued.is_empty and state.exposure.may_be_open)


async def _is_in_force(request: Request, text: str) -> bool:
    token = request.app.state.admission.recognise(text)
    return token is not None and token.role.includes(Role.READER)


def _form(request: Request, onward: str, status: HTTPStatus, sentence: str | None) -> Response:
    return page(request, "signin.html", status=status, onward=onward, sentence=sentence)
