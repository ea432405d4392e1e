"""Who may call what: the one place where roles and the jobs of a token are checked."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.context import about
from service.credentials import Role
from service.engine.commands import Command
from service.errors import Forbidden, Unauthorized

Handler = Callable[[Request], Awaitable[Response]]

NEEDED = "This call needs a token: send it as Authorization: Bearer TOKEN, or as the password of HTTP Basic."
UNKNOWN = "The token is not one of this service, or has been revoked; ask for a new one."


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
    """Who asks: what is recorded of it, and the prefix of the jobs that it reaches."""

    actor: str
    job_id_prefix: str

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


ANYBODY = Caller("open", "")
"""Whoever calls a service that runs open."""


async def admit(scope: Scope, role: Role, *, is_patient: bool = False) -> None:
    """Let a request in that comes from somebody of a role, who becomes its ``user``.

    Raises:
        Unauthorized: It has no token in force.
        Forbidden: The token is for other calls.
        Unavailable: The tokens cannot be read.
    """
    state = scope["app"].state
    if not state.exposure.may_be_open:
        token_of(scope)  # who has none does not wait, nor take the place of who has one
    admission = state.admission
    issued = await (admission.last_issued() if is_patient else admission.issued())
    if issued.is_empty and state.exposure.may_be_open:
        scope["user"] = ANYBODY
        return
    token = admission.recognise(token_of(scope))
    if token is None:
        raise Unauthorized(UNKNOWN)
    if not token.role.includes(role):
        raise Forbidden(f"This call is for the role {role}, and the token is a {token.role}'s.")
    scope["user"] = Caller(token.token_id, token.job_id_prefix)


def token_of(scope: Scope) -> str:
    """Return the text of the token that a request carries.

    Raises:
        Unauthorized: It carries none.
    """
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, credentials = header.decode("latin-1").partition(" ")
    match scheme.lower():
        case "bearer":
            return str(credentials.strip())
        case "basic":
            return password_of(credentials)
    raise Unauthorized(NEEDED)


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
