"""The calls for schedulers, which ask for many jobs at once: one transaction a call, an outcome an item."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from core.records import Trial
from service.engine.commands import Command, Once, Suggest, Tell
from service.errors import DatabaseUnavailable, Flaw, Forbidden, InvalidRequest, KeyReused, ServiceError
from service.web.answers import answer, problem_of
from service.web.decoding import Decoder, check_type, parse, read_body
from service.web.once import once_of
from service.web.wire import MOST_ITEMS, JobIdBody, JobIdsBody, ReportBody, ReportsBody, TrialBody

T = TypeVar("T")
Asked = Command | ServiceError

log = logging.getLogger("batchbandit.web")

_job_ids = Decoder(JobIdsBody)
_job_id = Decoder(JobIdBody)
_reports = Decoder(ReportsBody)
_report = Decoder(ReportBody)


async def suggestions(request: Request) -> Response:
    """Dispatch a trial for each of many jobs."""
    body = await _body_of(request)
    found = _job_ids.decode_fast(body)
    if found is not None:
        asked: list[Asked] = [Suggest(job_id) for job_id in found.job_ids]
    else:
        named = [{"job_id": item} for item in _items(body, "job_ids")]
        asked = [_asked(_job_id, item, lambda job: Suggest(job.job_id)) for item in named]
    return answer({"suggestions": await _carry_out(request, asked, once_of(request, body))})


async def reports(request: Request) -> Response:
    """Take many reports."""
    body = await _body_of(request)
    found = _reports.decode_fast(body)
    if found is not None:
        asked: list[Asked] = [Tell(item.report()) for item in found.reports]
    else:
        items = _items(body, "reports")
        asked = [_asked(_report, item, lambda report: Tell(report.report())) for item in items]
    return answer({"verdicts": await _carry_out(request, asked, once_of(request, body))})


async def _body_of(request: Request) -> bytes:
    check_type(request)
    return await read_body(request)


def _items(body: bytes, name: str) -> list[object]:
    """Return what a body lists, whatever it is; whoever lists too much is refused as a whole."""
    members = parse(body)
    if not isinstance(members, dict) or name not in members:
        raise InvalidRequest(Flaw(("body", name), "Expected this required member", "value_error.missing"))
    items = members[name]
    if not isinstance(items, list):
        raise InvalidRequest(Flaw(("body", name), "Expected an array", "type_error"))
    if len(items) > MOST_ITEMS:
        sentence = f"Expected at most {MOST_ITEMS} items: send the others in another call"
        raise InvalidRequest(Flaw(("body", name), sentence, "value_error"))
    return items


def _asked(decoder: Decoder[T], item: object, command: Callable[[T], Command]) -> Asked:
    try:
        return command(decoder.convert(item))
    except InvalidRequest as refusal:
        return refusal


async def _carry_out(request: Request, asked: Sequence[Asked], once: Once | None) -> list[object]:
    """Return the answer to each command, or its problem; a job out of the caller's reach is one.

    Raises:
        Unavailable: Nothing was done.
        KeyReused: The call's key came with another request before.
    """
    asked = [_reached(request, item) for item in asked]
    commands = [item for item in asked if not isinstance(item, ServiceError)]
    if once is not None:
        commands = [
            replace(command, once=replace(once, place=place, keeps_refusals=True))
            for place, command in enumerate(commands)
        ]
    outcomes = await request.app.state.engine.submit_together(commands) if commands else []
    for refusal in (DatabaseUnavailable, KeyReused):
        if commands and all(isinstance(outcome, refusal) for outcome in outcomes):
            raise refusal(str(outcomes[0]))
    told = iter(outcomes)
    return [_told(item if isinstance(item, ServiceError) else next(told)) for item in asked]


def _reached(request: Request, item: Asked) -> Asked:
    if isinstance(item, ServiceError):
        return item
    try:
        request.user.ensure_reaches(item.job_id)
    except Forbidden as refusal:
        return refusal
    return item


def _told(outcome: object) -> object:
    match outcome:
        case Trial():
            return TrialBody.of(outcome)
        case ServiceError():
            return problem_of(outcome)
        case Exception():
            log.error("command failed", exc_info=outcome)
            return problem_of(outcome)
    return outcome
