"""The reference of the calls, made from the service's own OpenAPI document."""

import json
import shlex
from typing import Any
from urllib.parse import quote, urlencode

from docs.site.examples import answers_of, body_of, parameter_of
from docs.site.schemas import Schema, members, said
from service.web.openapi import described
from service.web.routes import Resource, guarded, routes

ADDRESS = "http://127.0.0.1:8000"


def calls() -> str:
    """Return every call with what it takes, answers and refuses, and then every body, as Markdown."""
    document = json.loads(described(guarded))
    roles = _roles()
    lines = ["## Calls", ""]
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            lines += _call(method.upper(), path, call, roles)
            lines += [*_example(method.upper(), path, call, document), ""]
    lines += ["## Bodies", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name}", "", *_text(schema.get("description", "")), *_body(schema), ""]
    return "\n".join(lines)


def _roles() -> dict[str, str]:
    """Return the role that each call needs, by its method and path."""
    return {
        f"{method} {route.path_format}": f"A token of the role `{call.role}`, or of one that may more."
        for route in routes
        if isinstance(route.endpoint, Resource)
        for method, call in route.endpoint.calls.items()
        if call.role is not None
    }


def _call(method: str, path: str, call: Schema, roles: dict[str, str]) -> list[str]:
    """Return the section of a call."""
    lines = [f"### `{method} {path}`", "", f"{call['summary']}.", *_text(call.get("description", "")), ""]
    lines += [f"*Access.* {roles.get(f'{method} {path}', 'Nobody needs a token.')}", ""]
    if call.get("parameters"):
        lines += ["| parameter | in | type | |", "| --- | --- | --- | --- |"]
        lines += [_parameter(parameter) for parameter in call["parameters"]]
        lines.append("")
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    if content:
        lines += [f"*Body.* {said(content['schema'])}", ""]
    lines += ["| answer | body | |", "| --- | --- | --- |"]
    lines += [_answer(status, answer) for status, answer in sorted(call["responses"].items())]
    return [*lines, ""]


def _parameter(parameter: Schema) -> str:
    """Return the row of a parameter."""
    schema = parameter["schema"]
    description = " ".join((parameter.get("description") or schema.get("description", "")).split())
    told = [description.removesuffix("."), "required" if parameter.get("required") else ""]
    if "default" in schema:
        told.append(f"default `{schema['default']}`")
    return f"| `{parameter['name']}` | {parameter['in']} | {said(schema)} | {'; '.join(filter(None, told))} |"


def _answer(status: str, answer: Schema) -> str:
    """Return the row of an answer or a refusal."""
    kinds = ", ".join(
        said(content.get("schema", {})) or f"`{kind}`" for kind, content in answer.get("content", {}).items()
    )
    headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
    return f"| {status} | {kinds} | {answer['description']}{f' ({headers})' if headers else ''} |"


def command_of(method: str, path: str, call: Schema) -> str:
    """Return an example of a call, as one would type it."""
    query = {}
    for parameter in call.get("parameters", ()):
        value = parameter_of(parameter)
        if value is None:
            continue
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
        elif parameter["in"] == "query":
            query[parameter["name"]] = value
    url = f"{ADDRESS}{path}{f'?{urlencode(query)}' if query else ''}"
    command = ["curl", *([] if method == "GET" else ["-X", method]), url]
    body = body_of(call.get("requestBody", {}).get("content", {}).get("application/json", {}))
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(command)


def _example(method: str, path: str, call: Schema, document: Schema) -> list[str]:
    """Return an example of a call, and of what comes of it."""
    lines = ["```sh", command_of(method, path, call), "```"]
    for status, answer in sorted(call["responses"].items()):
        for kind, content in answer.get("content", {}).items():
            for example in answers_of(content, document) if status.startswith("2") else ():
                lines += ["", *_shown(kind, example)]
    return lines


def _shown(kind: str, example: Any) -> list[str]:  # noqa: ANN401  (JSON)
    """Return an example of an answer as a block."""
    if kind == "application/json":
        return ["```json", json.dumps(example, indent=2), "```"]
    return ["```text", *str(example).splitlines(), "```"]


def _body(schema: Schema) -> list[str]:
    """Return what a body is made of."""
    return members(schema) if "properties" in schema else [said(schema)]


def _text(description: str) -> list[str]:
    """Return a docstring's paragraphs."""
    return ["", *description.splitlines(), ""] if description else []
