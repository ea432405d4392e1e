"""JSON Schemas in words and in tables."""

import json
from typing import Any

Schema = dict[str, Any]

BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "of length {} or more",
    "maxLength": "of length {} at most",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
}
LARGE = 1_000_000
"""Bounds beyond it are those of what a machine can keep, and say so best as a power."""


def said(schema: Schema) -> str:
    """Return a schema in words: what there may be, and in which range."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(filter(None, map(said, schema["anyOf"])))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in sorted(schema["enum"], key=str))
    kind = schema.get("type", "")
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items") or {}]
        kind = f"list of {', '.join(said(item) or 'anything' for item in items)}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {said(schema['additionalProperties'])}"
    elif kind == "string" and schema.get("format"):
        kind = f"string ({schema['format']})"
    bounds = [text.format(number(schema[name])) for name, text in BOUNDS.items() if name in schema]
    return ", ".join([kind, *bounds])


def number(value: float) -> str:
    """Return a bound: powers of two and of ten as such."""
    for power in (31, 63):
        if abs(value) in {2**power, 2**power - 1} and value == int(value):
            return f"{'-' if value < 0 else ''}2^{power}{'-1' if value > 0 else ''}"
    return f"{value:g}" if abs(value) > LARGE else str(value)


def members(schema: Schema) -> list[str]:
    """Return the lines of a table of an object's members."""
    required = schema.get("required", ())
    rows = ["| member | type | default |", "| --- | --- | --- |"]
    for name, member in schema.get("properties", {}).items():
        default = (
            "required"
            if name in required
            else f"`{json.dumps(member['default'])}`"
            if "default" in member
            else ""
        )
        rows.append(f"| `{name}` | {said(member) or 'anything'} | {default} |")
    return rows
