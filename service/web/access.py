"""Who may call what: the one place where roles and the jobs of a token are checked.

A token comes in a header, or in the cookie of somebody who has signed in to the pages. A browser sends a
cookie by itself, also where a page on another port of the same host has made it ask: so for anything but
reading, it has to say that a page of the service's own asks.
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from msgspec import Struct
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from service.context import about
from service.credentials import Role
from service.engine.commands import Command
from service.errors import Forbidden, ForeignOrigin, OpenToProxy, Unauthorized
from service.web.origins import is_own_page

Handler = Callable[[Request], Awaitable[Response]]

NEEDED = "This call needs a token: send it as Authorization: Bearer TOKEN, or as the password of HTTP Basic."
UNKNOWN = "The token is not one of this service, or has been revoked; ask for a new one."


COOKIE = "batchbandit_token"
"""What holds the token of somebody who has signed in."""
COOKIE_ALONE = (
    "Signing in lets pages of this service do this, and a browser that says that one of them asks; "
    "a program sends its token as Authorization: Bearer TOKEN."
)

FORWARDED = frozenset({b"forwarded", b"x-forwarded-for"})
"""Headers that proxies add, to say for whom they ask."""
OPEN = (
    "A proxy passed this request on, and this service asks nobody for a token since only its own machine "
    "reaches it; make a token with batchbandit token create --role admin."
)


class Call(NamedTuple):
    """A method of a route: who may call it, everybody where ``role`` is None, and what answers.

    One that ``is_patient`` goes by the tokens as they were last read where they cannot be read now.
    """

    role: Role | None
    handler: Handler
    is_patient: bool = False


def needs(role: Role, handler: Handler, *, is_patient: bool = False) -> Call:
    """Return a call that needs a role."""
    return Call(role, handler, is_patient)


def public(handler: Handler) -> Call:
    """Return a call that needs no token."""
    return Call(None, handler)


class Caller(Struct, frozen=True):
    """Who asks: what is recorded of it, the prefix of the jobs that it reaches, and what it may do."""

    actor: str
    job_id_prefix: str
    role: Role

    def ensure_reaches(self, job_id: str) -> None:
        """See that a job is one of the caller's.

        Raises:
            Forbidden: It is not.
        """
        if not job_id.startswith(self.job_id_prefix):
            raise Forbidden(
                f"This token is for jobs whose job_id starts with {self.job_id_prefix!r}; use another "
                "job_id, or another token."
            )


ANYBODY = Caller("open", "", Role.ADMIN)
"""Whoever calls a service that runs open."""


async def admit(scope: Scope, role: Role, *, is_patient: bool = False) -> None:
    """Let a request in that comes from somebody of a role, who becomes its ``user``.

    Raises:
        Unauthorized: It has no token in force.
        Forbidden: The token is for other calls.
        ForeignOrigin: It has a cookie alone, and does not say that it is of a page of the service's own.
        Unavailable: The tokens cannot be read.
    """
    state = scope["app"].state
    if not state.exposure.may_be_open:
        token_of(scope, role)  # who has none does not wait, nor take the place of who has one
    admission = state.admission
    issued = await (admission.last_issued() if is_patient else admission.issued())
    if issued.is_empty and state.exposure.may_be_open:
        scope["user"] = ANYBODY
        return
    token = admission.recognise(token_of(scope, role))
    if token is None:
        raise Unauthorized(UNKNOWN)
    if not token.role.includes(role):
        raise Forbidden(f"This call is for the role {role}, and the token is a {token.role}'s.")
    scope["user"] = Caller(token.token_id, token.job_id_prefix, token.role)


def ensure_direct(scope: Scope) -> None:
    """See that who was let in without a token, on an address of this machine alone, comes from this machine.

    Raises:
        OpenToProxy: A proxy asks for somebody else.
    """
    if (
        scope["user"] is ANYBODY
        and scope["app"].state.exposure.is_local
        and any(name in FORWARDED for name, _ in scope["headers"])
    ):
        raise OpenToProxy(OPEN)


def token_of(scope: Scope, role: Role) -> str:
    """Return the text of the token that a request carries, to a call that needs a role.

    Raises:
        Unauthorized: It carries none.
        ForeignOrigin: It has a cookie alone, and does not say that it is of a page of the service's own.
    """
    header = header_of(scope, b"authorization")
    scheme, _, credentials = header.decode("latin-1").partition(" ")
    match scheme.lower():
        case "bearer":
            return str(credentials.strip())
        case "basic":
            return password_of(credentials)
    token = "" if header else cookie_parser(header_of(scope, b"cookie").decode("latin-1")).get(COOKIE, "")
    if not token:
        raise Unauthorized(NEEDED)
    # A call's role says whether it reads, its method does not: GET /jobs/batch_size dispatches a trial.
    is_reading = role is Role.READER and scope["method"] in {"GET", "HEAD"}
    if not is_reading and not is_own_page(scope):
        raise ForeignOrigin(COOKIE_ALONE)
    return token


def header_of(scope: Scope, name: bytes) -> bytes:
    """Return the first header of a name, empty where there is none."""
    return next((value for each, value in scope["headers"] if each == name), b"")


def password_of(credentials: str) -> str:
    """Return the password in the credentials of HTTP Basic, empty where they are malformed."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


async def submit(request: Request, command: Command) -> Any:  # noqa: ANN401  (each command names its answer)
    """Carry out a command of a caller who reaches its job; return its answer.

    Raises:
        ServiceError: It is refused.
    """
    request.user.ensure_reaches(command.job_id)
    about(command.job_id)
    return await request.app.state.engine.submit(command)
