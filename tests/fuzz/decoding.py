"""What must hold of any bytes that come in as a body or a query, called without a server.

An input is a digit that picks a call, then for a query the query, and for a body its Content-Type up to the
end of the line, and the body.
"""

import json
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.types import Message

from core.errors import CoreError
from core.records import Job, Report, Stage, Trial, TrialStatus, TrialType
from core.verdict import judge
from service.engine.commands import Command, Suggest, Tell
from service.errors import InvalidRequest, ServiceError, from_core
from service.web import bulk
from service.web.access import ANYBODY
from service.web.answers import answer, problem_of
from service.web.decoding import Decoder, job_id_of, parse
from service.web.wire import BeginBody, EndBody, JobBody, ReportBody

T = TypeVar("T")

LONGEST_REFUSAL = 4096
CHUNK = 100
"""Bodies come in pieces of so many bytes."""
JOB = Job(
    job_id="job",
    job_id_prefix="job",
    default_batch_size=16,
    higher_is_better_metric=True,
    eta_knob=0.5,
    beta_knob=2.0,
    target_metric=0.5,
    max_epochs=100,
    num_pruning_rounds=2,
    window_size=0,
    max_power=200.0,
    number_of_gpus=1,
    gpu_model="V100",
    mab_prior_mean=0.0,
    mab_prior_precision=0.0,
    mab_num_explorations=2,
    mab_seed=1,
    lease_seconds=600.0,
    max_failures=3,
    mab_random_generator_state="",
    exp_default_batch_size=16,
    stage=Stage.PRUNING,
    min_cost=1000.0,
    min_cost_batch_size=16,
    last_trial_number=1,
)

_job = Decoder(JobBody)
_DECODERS: dict[bytes, Decoder[Any]] = {
    b"1": Decoder(ReportBody),
    b"2": Decoder(EndBody),
    b"6": Decoder(BeginBody),
}


class Engine:
    """Answers commands as the real one would, without a database."""

    async def submit_together(self, commands: Sequence[Command]) -> list[object]:
        """Return an outcome a command."""
        return [self._outcome(command) for command in commands]

    def _outcome(self, command: Command) -> object:
        match command:
            case Suggest():
                start = datetime(2026, 1, 1, tzinfo=UTC)
                return Trial(command.job_id, 16, 1, start, TrialType.MAB, TrialStatus.DISPATCHED)
            case Tell():
                return judged(command.report)
        raise AssertionError(f"no bulk call gives a {type(command).__name__}")


def judged(report: Report) -> object:
    """Return the verdict on a report, or its refusal."""
    try:
        return judge(JOB, report)
    except CoreError as error:
        return from_core(error)


_APP = SimpleNamespace(state=SimpleNamespace(engine=Engine()))


def try_input(data: bytes) -> HTTPStatus:
    """Let the service take an input; return the status that would answer it.

    Raises:
        AssertionError: Something does not hold.
        Exception: Nothing but a refusal may be raised.
    """
    kind, said = data[:1], data[1:]
    head, _, body = said.partition(b"\n")
    match kind:
        case b"3":
            return _answered(bulk.suggestions, head, body, "suggestions")
        case b"4":
            return _answered(bulk.reports, head, body, "verdicts")
        case b"5":
            return _named(said)
    return _decoded(_DECODERS.get(kind, _job), head, body)


def _decoded(decoder: Decoder[T], head: bytes, body: bytes) -> HTTPStatus:
    """Decode a body: quickly and with care, which agree, and what is found once more."""
    try:
        found = _finished(decoder.read(_request(head, body)))
    except ServiceError as error:
        return _refused(error)
    if (quick := decoder.decode_fast(body)) is not None:
        assert _plain(decoder.convert(parse(body))) == _plain(quick), "both ways agree"
    again = json.dumps(msgspec.to_builtins(found)).encode()
    assert _plain(decoder.decode(again)) == _plain(found), "what is taken can be sent again"
    match found:
        case JobBody():
            specification = found.specification(found.job_id or "made-up")
            assert specification.batch_sizes == tuple(sorted(set(found.batch_sizes)))
            assert answer(specification).body
        case ReportBody():
            outcome = judged(found.report())
            if isinstance(outcome, ServiceError):
                return _refused(outcome)
            assert answer(outcome).body
    return HTTPStatus.OK


def _answered(call: Any, head: bytes, body: bytes, name: str) -> HTTPStatus:  # noqa: ANN401  (a route)
    """Let a bulk call answer: an outcome an item."""
    try:
        response = _finished(call(_request(head, body)))
    except ServiceError as error:
        return _refused(error)
    (items,) = parse(body).keys() & {"job_ids", "reports"} or {""}
    outcomes = json.loads(bytes(response.body))[name]
    assert len(outcomes) == len(parse(body)[items])
    for outcome in outcomes:
        assert outcome.get("status", 422) in {400, 422}
    return HTTPStatus.OK


def _named(query: bytes) -> HTTPStatus:
    """Find the job that a query names."""
    try:
        job_id = job_id_of(Request({"type": "http", "query_string": query, "headers": []}))
    except ServiceError as error:
        return _refused(error)
    assert 1 <= len(job_id) <= 400
    assert "\x00" not in job_id
    assert job_id.encode(), "a database can keep it"
    return HTTPStatus.OK


def _refused(error: ServiceError) -> HTTPStatus:
    """Check what a refusal says."""
    assert 400 <= error.status < 500
    body = answer(problem_of(error)).body
    assert len(body) < LONGEST_REFUSAL, "a refusal does not echo what it was sent"
    told = json.loads(bytes(body))
    assert told["message"]
    if isinstance(error, InvalidRequest):
        assert all(flaw.loc and flaw.msg and flaw.type for flaw in error.flaws)
    return error.status


def _request(head: bytes, body: bytes) -> Request:
    """Return a request whose body comes in pieces."""
    messages: list[Message] = [
        {"type": "http.request", "body": body[at : at + CHUNK], "more_body": at + CHUNK < len(body)}
        for at in range(0, max(len(body), 1), CHUNK)
    ]
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    headers = [(b"content-type", head)] if head else []
    return Request({"type": "http", "headers": headers, "app": _APP, "user": ANYBODY}, receive)


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    raise AssertionError("it waits for something")


def _plain(found: object) -> str:
    """Return a text that is equal where structs are, NaN with NaN."""
    return repr(msgspec.to_builtins(found))
