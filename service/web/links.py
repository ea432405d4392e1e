"""What can be asked after an answer: the links of the OpenAPI document, along the life of a training."""

from typing import Any

Link = dict[str, Any]

_TRIAL = ("job_id", "batch_size", "trial_number")


def operation_id(method: str, path: str) -> str:
    """Return the name of a call in the document, such as ``get_jobs_batch_size``."""
    return "_".join([method, *path.strip("/").translate(str.maketrans("", "", "{}")).split("/")])


def _of_job(call: str, job_id: str) -> Link:
    return {"operationId": call, "parameters": {"job_id": job_id}}


def _of_trial(call: str, trial: str) -> Link:
    """Link to a call whose body names a trial; what else it has is the caller's."""
    return {"operationId": call, "requestBody": {name: f"{trial}/{name}" for name in _TRIAL}}


def _of_numbered(call: str) -> Link:
    """Link to a call whose path names the trial that was answered."""
    named = {name: f"$response.body#/{name}" for name in ("job_id", "trial_number")}
    return {"operationId": call, "parameters": named}


_SUGGEST, _DELETE = "get_jobs_batch_size", "delete_jobs"
_JOB = "api_v1_jobs_job_id"
_BEGIN = f"post_{_JOB}_trials"
_REPORT, _END = "post_report", "patch_trials"
_BULK_SUGGEST, _BULK_REPORT = "post_api_v1_suggestions", "post_api_v1_reports"
_SHOWN_JOB, _SHOWN_TRIAL = f"get_{_JOB}", f"get_{_JOB}_trials_trial_number"
_BEAT = f"put_{_JOB}_trials_trial_number_heartbeat"

_AFTER_REGISTERING: dict[str, Link] = {
    "register again": {"operationId": "post_jobs", "requestBody": "$response.body"},
    "suggest": _of_job(_SUGGEST, "$response.body#/job_id"),
    "suggest in bulk": {
        "operationId": _BULK_SUGGEST,
        "requestBody": {"job_ids": ["$response.body#/job_id", "$response.body#/job_id"]},
    },
    "begin": _of_job(_BEGIN, "$response.body#/job_id")
    | {"requestBody": {"batch_size": "$response.body#/default_batch_size"}},
    "change": _of_job(f"patch_{_JOB}", "$response.body#/job_id")
    | {"requestBody": {"eta_knob": "$response.body#/eta_knob", "max_epochs": 1}},
    "pause": _of_job(f"post_{_JOB}_pause", "$response.body#/job_id"),
    "resume": _of_job(f"post_{_JOB}_resume", "$response.body#/job_id"),
    "reset": _of_job(f"post_{_JOB}_reset", "$response.body#/job_id"),
    "delete": _of_job(_DELETE, "$response.body#/job_id"),
    "show": _of_job(_SHOWN_JOB, "$response.body#/job_id"),
    "list the trials": _of_job(f"{_SHOWN_JOB}_trials", "$response.body#/job_id"),
    "export": _of_job(f"{_SHOWN_JOB}_export", "$response.body#/job_id"),
}
_AFTER_DISPATCHING: dict[str, Link] = {
    "report": _of_trial(_REPORT, "$response.body#"),
    "end": _of_trial(_END, "$response.body#"),
    "heartbeat": _of_numbered(_BEAT),
    "show": _of_numbered(_SHOWN_TRIAL),
    "show why": _of_numbered(f"{_SHOWN_TRIAL}_decision"),
    "show the job": _of_job(_SHOWN_JOB, "$response.body#/job_id"),
    "suggest another": _of_job(_SUGGEST, "$response.body#/job_id"),
    "delete the job": _of_job(_DELETE, "$response.body#/job_id"),
}
_LINKS: dict[str, dict[str, dict[str, Link]]] = {
    "post_jobs": {"200": _AFTER_REGISTERING, "201": _AFTER_REGISTERING},
    _SUGGEST: {"200": _AFTER_DISPATCHING},
    _BEGIN: {"201": _AFTER_DISPATCHING},
    _REPORT: {
        "200": {
            "report again": _of_trial(_REPORT, "$request.body#"),
            "end": _of_trial(_END, "$request.body#"),
            "suggest": _of_job(_SUGGEST, "$request.body#/job_id"),
            "delete the job": _of_job(_DELETE, "$request.body#/job_id"),
        }
    },
    _END: {
        "200": {
            "end again": _of_trial(_END, "$request.body#"),
            "report": _of_trial(_REPORT, "$request.body#"),
            "suggest": _of_job(_SUGGEST, "$request.body#/job_id"),
        }
    },
    _DELETE: {
        "200": {
            "delete again": _of_job(_DELETE, "$request.query.job_id"),
            "suggest": _of_job(_SUGGEST, "$request.query.job_id"),
        }
    },
    _BULK_SUGGEST: {
        "200": {
            "report the first": _of_trial(_REPORT, "$response.body#/suggestions/0"),
            "end the first": _of_trial(_END, "$response.body#/suggestions/0"),
        }
    },
}


def links_of(call: str) -> dict[str, dict[str, Link]]:
    """Return the links from the answers of a call: by status, by what they are for."""
    return _LINKS.get(call, {})
