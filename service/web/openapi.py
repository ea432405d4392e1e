"""The calls as an OpenAPI 3.1 document, its schemas drawn from the wire structs themselves."""

from collections.abc import Collection
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from core.records import Specification, Verdict
from service.engine.commands import Lease, Started
from service.errors import Unavailable
from service.web.examples import exemplify
from service.web.links import links_of, operation_id
from service.web.shown import SHOWN, shown
from service.web.wire import (
    BeginBody,
    ChangeBody,
    EndBody,
    JobBody,
    JobId,
    JobIdsBody,
    PausedBody,
    Positive,
    ProblemBody,
    ReportBody,
    ReportsBody,
    StateBody,
    TrialBody,
)

_BODIES = (
    JobBody,
    ReportBody,
    BeginBody,
    ChangeBody,
    EndBody,
    PausedBody,
    TrialBody,
    JobIdsBody,
    ReportsBody,
    Specification,
    Verdict,
    StateBody,
    Lease,
    Started,
    ProblemBody,
    *SHOWN,
)
UNAVAILABLE = "Overloaded, stopping, or without a database"
_NULL: dict[str, Any] = {"type": "null"}
_ANYTHING = {"description": "Anything else is answered with a problem of its own."}
# Headers that an answer of a status always carries.
_HEADERS: dict[str, dict[str, Any]] = {
    "503": {
        name: {"description": "Seconds", "required": True, "schema": {"const": value}}
        for name, value in Unavailable.headers.items()
    },
}


_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}}
"""How a token is sent: by itself, or as the password of any user."""


def document(guarded: Collection[str]) -> dict[str, Any]:
    """Return the document; the guarded calls, each a method and a path, are those that need a token."""
    schema, components = _schemas()
    job_id = {
        "name": "job_id",
        "in": "query",
        "required": True,
        "schema": msgspec.json.schema(JobId),
    }

    in_path: list[dict[str, Any]] = [
        {"name": "job_id", "in": "path", "required": True, "schema": msgspec.json.schema(JobId)},
        {"name": "trial_number", "in": "path", "required": True, "schema": msgspec.json.schema(Positive)},
    ]
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Of a call that is to be carried out once, however often it is asked",
        "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
    }

    def operation(
        summary: str,
        answers: dict[str, tuple[str, dict[str, Any]]],
        refusals: dict[str, str],
        body: type[msgspec.Struct] | None = None,
        parameters: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        described: dict[str, Any] = {"summary": summary, "responses": {}}
        if parameters:
            described["parameters"] = parameters
        if body is not None:
            refusals = refusals | {"413": "The body is larger than 1 MiB"}
            described["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": schema[body]}},
            }
        for status, (description, content) in answers.items():
            described["responses"][status] = {
                "description": description,
                "content": {"application/json": {"schema": content}},
            }
        described["responses"] |= _problems(refusals, schema[ProblemBody])
        return described

    def listed(name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
        items = {"anyOf": [schema[kind], schema[ProblemBody]]}
        array = {"type": "array", "items": items}
        return {"type": "object", "properties": {name: array}, "required": [name]}

    measurements = {
        "summary": "The service's own figures, those of all workers of the host",
        "responses": {
            "200": {
                "description": "Prometheus' text",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    }
    unavailable = {"503": UNAVAILABLE}
    well = {"200": ("It is", schema[StateBody])}
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "batchbandit",
            "version": version("batchbandit-server"),
            "description": "Learns which batch size a recurring training job should use.",
        },
        "paths": {
            "/jobs": {
                "post": operation(
                    "Register a job",
                    {
                        "201": ("Registered: the specification in force", schema[Specification]),
                        "200": ("Already registered, equally", schema[Specification]),
                    },
                    {
                        "404": "warm_start_from names a job that is not registered",
                        "409": "Registered with another specification",
                        "422": "Invalid specification",
                    }
                    | unavailable,
                    body=JobBody,
                    parameters=[key],
                ),
                "delete": operation(
                    "Delete a job and all that belongs to it",
                    {"200": ("Deleted", _NULL)},
                    {"404": "No such job", "422": "job_id is missing or impossible"} | unavailable,
                    parameters=[job_id],
                ),
            },
            "/jobs/batch_size": {
                "get": operation(
                    "Dispatch a new trial",
                    {"200": ("The batch size to train with", schema[TrialBody])},
                    {
                        "400": "Unknown job",
                        "409": "No usable batch size is left",
                        "422": "job_id is missing or impossible",
                    }
                    | unavailable,
                    parameters=[job_id, key],
                ),
            },
            "/report": {
                "post": operation(
                    "Report an epoch",
                    {"200": ("Whether to go on", schema[Verdict])},
                    {"400": "Unknown job or trial, or a failed trial", "422": "Invalid report"} | unavailable,
                    body=ReportBody,
                ),
            },
            "/trials": {
                "patch": operation(
                    "End a trial; one without a result has failed",
                    {"200": ("Over", _NULL)},
                    {"404": "Unknown trial", "422": "Invalid body"} | unavailable,
                    body=EndBody,
                ),
            },
            "/api/v1/suggestions": {
                "post": operation(
                    "Dispatch a trial for each of many jobs, in one transaction",
                    {"200": ("A trial or a problem a job, in their order", listed("suggestions", TrialBody))},
                    {"422": "Invalid body; an invalid job_id is a problem of its own"} | unavailable,
                    body=JobIdsBody,
                    parameters=[key],
                ),
            },
            "/api/v1/reports": {
                "post": operation(
                    "Report an epoch of each of many trials, in one transaction",
                    {"200": ("A verdict or a problem a report, in their order", listed("verdicts", Verdict))},
                    {"422": "Invalid body; an invalid report is a problem of its own"} | unavailable,
                    body=ReportsBody,
                    parameters=[key],
                ),
            },
            "/api/v1/jobs/{job_id}/trials/{trial_number}/heartbeat": {
                "put": operation(
                    "Renew the lease of a running trial",
                    {"200": ("The lease", schema[Lease])},
                    {"404": "No such trial", "409": "The trial is over", "422": "An impossible name"}
                    | unavailable,
                    parameters=in_path,
                ),
            },
            "/api/v1/jobs/{job_id}/trials": {
                "post": operation(
                    "Dispatch a trial at a batch size that its training has chosen by itself",
                    {"201": ("Dispatched", schema[TrialBody])},
                    {"404": "No such job", "422": "An impossible name, or no batch size of the job"}
                    | unavailable,
                    body=BeginBody,
                    parameters=[in_path[0], key],
                ),
            },
            "/api/v1/jobs/{job_id}/reset": {
                "post": operation(
                    "Start a job over, its history kept",
                    {"200": ("It starts over", schema[Started])},
                    {"404": "No such job", "422": "An impossible name"} | unavailable,
                    parameters=in_path[:1],
                ),
            },
            "/api/v1/jobs/{job_id}/pause": {
                "post": operation(
                    "Let a job explore nothing: its trainings get the best batch size so far",
                    {"200": ("It is paused", schema[PausedBody])},
                    {"404": "No such job", "422": "An impossible name"} | unavailable,
                    parameters=in_path[:1],
                ),
            },
            "/api/v1/jobs/{job_id}/resume": {
                "post": operation(
                    "Let a job that was paused explore again",
                    {"200": ("It is not paused", schema[PausedBody])},
                    {"404": "No such job", "422": "An impossible name"} | unavailable,
                    parameters=in_path[:1],
                ),
            },
            "/api/v1/jobs/{job_id}": {
                "patch": operation(
                    "Give a job other terms; what it has measured is costed anew",
                    {"200": ("The specification in force", schema[Specification])},
                    {
                        "404": "No such job",
                        "422": "An impossible name or term, or a result would cost nothing under it",
                    }
                    | unavailable,
                    body=ChangeBody,
                    parameters=in_path[:1],
                ),
            },
            "/healthz": {"get": operation("Whether the process answers", well, {})},
            "/readyz": {"get": operation("Whether requests can be served", well, unavailable)},
            "/metrics": {"get": measurements},
            "/openapi.json": {"get": operation("This document", {"200": ("OpenAPI 3.1", {})}, {})},
        },
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }
    for path, calls in shown(operation, schema, in_path).items():
        whole["paths"][path] = calls | whole["paths"].get(path, {})
    for path, calls in whole["paths"].items():
        for method, call in calls.items():
            _guard(call, schema[ProblemBody], needs_token=f"{method.upper()} {path}" in guarded)
    whole["components"]["examples"] = exemplify(whole["paths"])
    _link(whole["paths"])
    return whole


@cache
def described(guarded: frozenset[str]) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document(guarded))


def _problems(refusals: dict[str, str], problem: dict[str, Any]) -> dict[str, Any]:
    """Return refusals as the responses that they are."""
    return {
        status: {"description": text, "content": {"application/problem+json": {"schema": problem}}}
        | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
        for status, text in refusals.items()
    }


def _guard(operation: dict[str, Any], problem: dict[str, Any], *, needs_token: bool) -> None:
    """Add to a call what it asks of its caller, and the refusals of who does not have it."""
    refusals = {"403": "A page of another site asks", "421": "The Host is not one of the service's names"}
    if needs_token:
        operation["security"] = [{scheme: []} for scheme in _SCHEMES]
        refusals["401"] = "No token in force"
        refusals["403"] = (
            "The token is not for this call or this job, or a page of another site asks, or a proxy where no "
            "token is asked for"
        )
        refusals["503"] = UNAVAILABLE
    operation["responses"] |= _problems(refusals, problem)


def _schemas() -> tuple[dict[type[msgspec.Struct], dict[str, Any]], dict[str, Any]]:
    """Return a reference to each body's schema, and all schemas by name."""
    refs, components = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    for body, name in ((JobIdsBody, "job_ids"), (ReportsBody, "reports")):
        listed = components[body.__name__]["properties"][name]
        listed["items"] = {"anyOf": [listed["items"], _ANYTHING]}
    return dict(zip(_BODIES, refs, strict=True)), components


def _link(paths: dict[str, Any]) -> None:
    """Name every call, and say what can be asked after its answers."""
    for path, calls in paths.items():
        for method, call in calls.items():
            call["operationId"] = operation_id(method, path)
            for status, links in links_of(call["operationId"]).items():
                call["responses"][status]["links"] = links
