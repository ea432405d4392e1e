"""Examples of what API v1 takes and answers, as the OpenAPI document has them: what a service has said."""

import json
from importlib.resources import files
from typing import Any

Described = dict[str, Any]


def exemplify(paths: Described) -> Described:
    """Give the bodies of API v1 their examples; return those of problems, which calls have in common."""
    told = json.loads(files("service.web").joinpath("examples.json").read_text(encoding="utf-8"))
    problems = told.pop("problems")
    for path, calls in paths.items():
        for call in calls.values() if path.startswith("/api/v1/") else ():
            for body in (call.get("requestBody", {}), *call["responses"].values()):
                _show(body.get("content", {}).get("application/json"), told)
            for status, answer in call["responses"].items():
                content = answer["content"].get("application/problem+json")
                if content is not None:
                    content["examples"] = {"problem": {"$ref": f"#/components/examples/{status}"}}
    return {status: {"value": problem} for status, problem in problems.items()}


def _show(content: Described | None, told: Described) -> None:
    """Give a body its example, found by the name of its schema or, where it has none, of its member."""
    if content is not None:
        schema = content["schema"]
        name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else next(iter(schema["properties"]))
        content["example"] = told[name]
