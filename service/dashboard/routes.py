"""The pages, and what their forms ask."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.credentials import Role
from service.dashboard import signing_in
from service.dashboard.assets import static
from service.dashboard.job import job
from service.dashboard.jobs import jobs
from service.dashboard.pages import job_address, redirect
from service.dashboard.signing_in import PAGES, ensure_own_page, fields_of
from service.dashboard.trial import trial
from service.engine.commands import Pause
from service.web.access import Handler, needs, public, submit
from service.web.decoding import named
from service.web.routes import Resource
from service.web.wire import JobId


async def pause(request: Request) -> Response:
    """Let a job explore nothing."""
    return await _paused(request, is_paused=True)


async def resume(request: Request) -> Response:
    """Let a job go on."""
    return await _paused(request, is_paused=False)


async def _paused(request: Request, *, is_paused: bool) -> Response:
    ensure_own_page(request)
    fields = await fields_of(request)
    job_id = named(fields.get("id", ""), JobId, "body", "id")
    await submit(request, Pause(job_id, is_paused, request.user.actor))
    return redirect(job_address(job_id))


def _page(handler: Handler) -> Resource:
    call = needs(Role.READER, handler)
    return Resource(GET=call, HEAD=call)


routes = [
    Route("/", _page(jobs)),
    Route("/job", _page(job)),
    Route("/trial", _page(trial)),
    Route("/job/pause", Resource(POST=needs(Role.OPERATOR, pause))),
    Route("/job/resume", Resource(POST=needs(Role.OPERATOR, resume))),
    Route(
        "/signin",
        Resource(GET=public(signing_in.ask), HEAD=public(signing_in.ask), POST=public(signing_in.sign_in)),
    ),
    Route("/signout", Resource(POST=public(signing_in.sign_out))),
    Route("/static/{digest}/{name}", Resource(GET=public(static), HEAD=public(static))),
]

PATHS = frozenset({*PAGES, "/signin"})
"""What can be asked for again, or after signing in."""
