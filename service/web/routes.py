"""The calls: each turns a request into a command and the command's answer into an HTTP answer."""

import secrets
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.records import LIKE_IT
from service import metrics
from service.credentials import Role
from service.engine.commands import Beat, Begin, Change, Delete, End, Pause, Register, Reset, Suggest, Tell
from service.engine.naming import register_unnamed
from service.errors import Unavailable
from service.web import browse, bulk
from service.web.access import Call, Handler, admit, ensure_direct, needs, public, submit
from service.web.answers import Answer, answer
from service.web.decoding import Decoder, check_type, job_id_of, job_of, read_body, trial_of
from service.web.events import events
from service.web.export import export
from service.web.once import once_of
from service.web.openapi import described
from service.web.paths import JobRoute
from service.web.wire import (
    BeginBody,
    ChangeBody,
    EndBody,
    JobBody,
    PausedBody,
    ReportBody,
    StateBody,
    TrialBody,
)

_job = Decoder(JobBody)
_report = Decoder(ReportBody)
_begin = Decoder(BeginBody)
_end = Decoder(EndBody)
_change = Decoder(ChangeBody)


class Resource:
    """A path with the methods it answers to and who may use each, and 405 for all others, HEAD among them."""

    def __init__(self, **calls: Call) -> None:
        self.calls = calls
        self.methods = tuple(calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        call = self.calls.get(scope["method"])
        if call is None:
            allowed = ", ".join(self.methods)
            sentence = f"{scope['method']} is not allowed here; use {allowed}."
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, sentence, {"Allow": allowed})
        if call.role is not None:
            await admit(scope, call.role, is_patient=call.is_patient)
            ensure_direct(scope)
        response = await call.handler(Request(scope, receive, send))
        await response(scope, receive, send)


async def register(request: Request) -> Response:
    """Register a job: 201, or 200 where the same job is registered already."""
    check_type(request)
    text = await read_body(request)
    once = once_of(request, text)
    body = _job.decode(text)
    seed = secrets.randbits(128) if body.mab_seed is None else body.mab_seed
    command = Register(
        body.specification(body.job_id or ""),
        seed,
        is_named=body.job_id is not None,
        actor=request.user.actor,
        unnamed=body.unnamed(),
        reach=request.user.job_id_prefix,
        once=once,
    )
    source = command.specification.warm_start_from
    if source is not None and source != LIKE_IT:
        request.user.ensure_reaches(source)
    if command.is_named:
        registered = await submit(request, command)
    else:
        request.user.ensure_reaches(f"{body.job_id_prefix}-")  # whatever name is made of it
        registered = await register_unnamed(request.app.state.engine, command)
    return answer(registered.specification, HTTPStatus.CREATED if registered.created else HTTPStatus.OK)


async def delete(request: Request) -> Response:
    """Delete a job."""
    return answer(await submit(request, Delete(job_id_of(request), request.user.actor)))


async def suggest(request: Request) -> Response:
    """Dispatch a new trial."""
    command = Suggest(job_id_of(request), once=once_of(request))
    trial = await submit(request, command)
    return answer(TrialBody.of(trial))


async def begin(request: Request) -> Response:
    """Dispatch a trial at a batch size that its training has chosen."""
    job_id = job_of(request)
    check_type(request)
    text = await read_body(request)
    command = Begin(job_id, _begin.decode(text).batch_size, once=once_of(request, text))
    return answer(TrialBody.of(await submit(request, command)), HTTPStatus.CREATED)


async def report(request: Request) -> Response:
    """Take a report."""
    body = await _report.read(request)
    return answer(await submit(request, Tell(body.report())))


async def end(request: Request) -> Response:
    """End a trial."""
    body = await _end.read(request)
    command = End(body.job_id, body.batch_size, body.trial_number, body.reason)
    return answer(await submit(request, command))


async def beat(request: Request) -> Response:
    """Renew the lease of a trial."""
    return answer(await submit(request, Beat(*trial_of(request))))


async def reset(request: Request) -> Response:
    """Start a job over."""
    return answer(await submit(request, Reset(job_of(request), request.user.actor)))


async def change(request: Request) -> Response:
    """Give a job other terms."""
    job_id = job_of(request)
    body = await _change.read(request)
    altered = await submit(request, Change(job_id, body.terms(), request.user.actor))
    return answer(altered.specification)


async def pause(request: Request) -> Response:
    """Let a job explore nothing any more."""
    return answer(await _paused(request, is_paused=True))


async def resume(request: Request) -> Response:
    """Let a job explore again."""
    return answer(await _paused(request, is_paused=False))


async def _paused(request: Request, *, is_paused: bool) -> PausedBody:
    paused = await submit(request, Pause(job_of(request), is_paused, request.user.actor))
    return PausedBody(paused.job_id, paused.is_paused)


async def health(_: Request) -> Response:
    """Tell that the process answers; the database is not asked."""
    return answer(StateBody("ok"))


async def readiness(request: Request) -> Response:
    """Tell whether requests can be served: the database answers, and the service is not about to stop."""
    if request.app.state.is_draining:
        raise Unavailable("The service is stopping; ask another one.")
    await request.app.state.readiness.done()
    return answer(StateBody("ready"))


async def measurements(request: Request) -> Response:
    """Give the service's own figures, for Prometheus; those of all workers of the host."""
    request.user.ensure_reaches("")  # they are of all jobs
    census = request.app.state.census
    await census.refresh()
    return Answer(metrics.exposition(census), media_type=metrics.CONTENT_TYPE_LATEST)


async def openapi(_: Request) -> Response:
    """Describe the calls."""
    return Answer(described(guarded))


measured = needs(Role.READER, measurements, is_patient=True)  # also of a service whose database is away


def _shown(handler: Handler) -> dict[str, Call]:
    """Return the methods of a call that readers may make, and that changes nothing."""
    return {"GET": needs(Role.READER, handler), "HEAD": needs(Role.READER, handler)}


# They are tried in this order: the first three are nearly all that is asked.
routes = [
    Route("/report", Resource(POST=needs(Role.TRAINER, report))),
    Route("/jobs/batch_size", Resource(GET=needs(Role.TRAINER, suggest))),
    Route("/trials", Resource(PATCH=needs(Role.TRAINER, end))),
    Route("/jobs", Resource(POST=needs(Role.TRAINER, register), DELETE=needs(Role.OPERATOR, delete))),
    Route("/api/v1/suggestions", Resource(POST=needs(Role.TRAINER, bulk.suggestions))),
    Route("/api/v1/reports", Resource(POST=needs(Role.TRAINER, bulk.reports))),
    JobRoute(
        "/api/v1/jobs/{job_id:path}/trials/{trial_number}/heartbeat", Resource(PUT=needs(Role.TRAINER, beat))
    ),
    JobRoute(
        "/api/v1/jobs/{job_id:path}/trials/{trial_number}/decision", Resource(**_shown(browse.decision))
    ),
    JobRoute("/api/v1/jobs/{job_id:path}/trials/{trial_number}", Resource(**_shown(browse.trial))),
    JobRoute(
        "/api/v1/jobs/{job_id:path}/trials",
        Resource(**_shown(browse.trials), POST=needs(Role.TRAINER, begin)),
    ),
    JobRoute("/api/v1/jobs/{job_id:path}/export", Resource(**_shown(export))),
    JobRoute("/api/v1/jobs/{job_id:path}/reset", Resource(POST=needs(Role.OPERATOR, reset))),
    JobRoute("/api/v1/jobs/{job_id:path}/pause", Resource(POST=needs(Role.OPERATOR, pause))),
    JobRoute("/api/v1/jobs/{job_id:path}/resume", Resource(POST=needs(Role.OPERATOR, resume))),
    JobRoute(
        "/api/v1/jobs/{job_id:path}", Resource(**_shown(browse.job), PATCH=needs(Role.OPERATOR, change))
    ),
    Route("/api/v1/jobs", Resource(**_shown(browse.jobs))),
    Route("/api/v1/events", Resource(GET=needs(Role.READER, events))),
    Route("/healthz", Resource(GET=public(health), HEAD=public(health))),
    Route("/readyz", Resource(GET=public(readiness), HEAD=public(readiness))),
    # It tells how much is trained and how fast, which is nobody else's business.
    Route("/metrics", Resource(GET=measured, HEAD=measured)),
    Route("/openapi.json", Resource(GET=public(openapi), HEAD=public(openapi))),
]

guarded = frozenset(
    f"{method} {route.path_format}"
    for route in routes
    if isinstance(route.endpoint, Resource)
    for method, call in route.endpoint.calls.items()
    if call.role is not None
)
"""The calls that need a token."""
