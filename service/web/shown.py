"""The calls that show jobs and trials, as the OpenAPI document has them."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from service.store.happening import Happening
from service.views.shapes import DecisionView, JobsView, JobView, TrialsView, TrialView
from service.web.browse import JobsAsked, TrialsAsked
from service.web.events import EventsAsked
from service.web.export import ExportAsked
from service.web.query import without_none

Described = dict[str, Any]
Operation = Callable[..., Described]

SHOWN = (JobsView, JobView, TrialsView, TrialView, DecisionView, Happening)
"""What they answer with."""

_NO_JOB = {"404": "No such job"}
_NO_TRIAL = {"404": "No such job or trial"}
_FILES = {
    "text/csv": "With a header; a text that a spreadsheet would take for a formula begins with an apostrophe",
    "application/x-ndjson": "A trial a line",
    "application/vnd.apache.parquet": "Where batchbandit-server[parquet] is installed",
}


def shown(
    operation: Operation, schema: Mapping[type[Struct], Described], in_path: list[Described]
) -> dict[str, Described]:
    """Return the calls by path.

    Args:
        operation: Makes a call of its summary, answers, refusals and parameters.
        schema: The reference to each body's schema.
        in_path: The parameters that name a job and a trial.
    """
    named = "An impossible name, or a parameter that the call does not take"
    listed = "A parameter or a value that the call does not take, or a cursor of another order"

    def get(summary: str, body: type[Struct], refusals: Described, parameters: list[Described]) -> Described:
        return {"get": operation(summary, {"200": ("As of now", schema[body])}, refusals, None, parameters)}

    return {
        "/api/v1/jobs": get("List jobs", JobsView, {"422": listed}, parameters_of(JobsAsked)),
        "/api/v1/jobs/{job_id}": get(
            "Show a job: what it is choosing and why, what it has saved, what is wrong",
            JobView,
            _NO_JOB | {"422": named},
            in_path[:1],
        ),
        "/api/v1/jobs/{job_id}/trials": get(
            "List the trials of a job",
            TrialsView,
            _NO_JOB | {"422": listed},
            [in_path[0], *parameters_of(TrialsAsked)],
        ),
        "/api/v1/jobs/{job_id}/trials/{trial_number}": get(
            "Show a trial", TrialView, _NO_TRIAL | {"422": named}, in_path
        ),
        "/api/v1/jobs/{job_id}/trials/{trial_number}/decision": get(
            "Show why a trial has its batch size", DecisionView, _NO_TRIAL | {"422": named}, in_path
        ),
        "/api/v1/jobs/{job_id}/export": {"get": _export(operation, in_path[0])},
        "/api/v1/events": {"get": _events(operation, schema[Happening])},
    }


def _export(operation: Operation, job_id: Described) -> Described:
    refusals = _NO_JOB | {"422": "An impossible name, or another format", "501": "Parquet is not installed"}
    described = operation(
        "Send all trials of a job as a file", {}, refusals, None, [job_id, *parameters_of(ExportAsked)]
    )
    described["responses"]["200"] = {
        "description": "The trials, the oldest first, each as it is when it is read",
        "headers": {"Content-Disposition": {"description": "A name", "schema": {"type": "string"}}},
        "content": {
            kind: {"schema": {"type": "string", "description": text}} for kind, text in _FILES.items()
        },
    }
    return described


def _events(operation: Operation, happening: Described) -> Described:
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "The id of the event to go on from",
        "schema": {"type": "string"},
    }
    described = operation(
        "What happens to jobs, as an event stream (HTML standard, section 9.2)",
        {},
        {"422": "An impossible name or id"},
        None,
        [*parameters_of(EventsAsked), last],
    )
    described["responses"]["200"] = {
        "description": "Events, each with an id, its kind and, as data, what happened",
        "content": {"text/event-stream": {"schema": happening}},
    }
    return described


def parameters_of(query: type[Struct]) -> list[Described]:
    """Return the parameters that a query may have."""
    return [_parameter(field) for field in structs.fields(query)]


def _parameter(field: structs.FieldInfo) -> Described:
    (schema,), named = msgspec.json.schema_components([without_none(field.type)], ref_template="{name}")
    schema = {**named.get(schema.get("$ref", ""), schema)}
    schema.pop("title", None)
    if field.default not in (None, ""):
        schema["default"] = msgspec.to_builtins(field.default)
    return {"name": field.name, "in": "query", "required": False, "schema": schema}
