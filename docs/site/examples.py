"""Examples of what is sent: the document's own, and for calls without one those of a training's life."""

from typing import Any

from docs.site.schemas import Schema

TRIAL = {"job_id": "resnet-nightly", "batch_size": 128, "trial_number": 1}
REPORT = {**TRIAL, "time": 612.5, "energy": 151200.0, "metric": 0.31, "current_epoch": 1}
BODIES: dict[str, Any] = {
    "JobBody": {
        "job_id": "resnet-nightly",
        "job_id_prefix": "resnet",
        "batch_sizes": [32, 64, 128, 256, 512],
        "default_batch_size": 128,
        "target_metric": 0.75,
        "max_epochs": 90,
        "max_power": 300,
        "number_of_gpus": 1,
        "gpu_model": "V100",
    },
    "ReportBody": REPORT,
    "EndBody": {**TRIAL, "reason": "out_of_memory"},
    "BeginBody": {"batch_size": 64},
    "JobIdsBody": {"job_ids": ["resnet-nightly"]},
    "ReportsBody": {"reports": [REPORT]},
    "ChangeBody": {"eta_knob": 1.0},
}
"""By the name of a body's schema."""
PARAMETERS: dict[str, Any] = {"job_id": "resnet-nightly", "trial_number": 1}
"""By the name of a parameter that a call needs."""


def parameter_of(parameter: Schema) -> Any:  # noqa: ANN401  (JSON)
    """Return an example of a parameter, None where it may be left out."""
    if "example" in parameter:
        return parameter["example"]
    return PARAMETERS[parameter["name"]] if parameter.get("required") else None


def body_of(content: Schema) -> Any:  # noqa: ANN401  (JSON)
    """Return an example of a body that is sent, None where a call takes none."""
    if not content:
        return None
    return BODIES[content["schema"]["$ref"].rsplit("/", 1)[1]]


def answers_of(content: Schema, document: Schema) -> list[Any]:
    """Return the document's examples of a body that is answered."""
    found = []
    for example in content.get("examples", {}).values():
        whole = example
        if "$ref" in example:
            whole = document
            for part in example["$ref"].removeprefix("#/").split("/"):
                whole = whole[part]
        found.append(whole["value"])
    return found
