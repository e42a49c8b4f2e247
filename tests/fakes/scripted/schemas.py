"""Values that fit a JSON schema."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
_DEPTH = 12
_BY_TYPE: dict[str, Any] = {"integer": 7, "number": 0.5, "boolean": True, "null": None}


def instance(schema: JsonObject) -> Any:
    """Return the first value that comes to mind: what a model without much fantasy writes."""
    return _instance(schema, schema, "text", 0)


def _instance(schema: JsonObject, root: JsonObject, name: str, depth: int) -> Any:
    if depth > _DEPTH:
        return None
    if "$ref" in schema:
        return _instance(_referred(schema["$ref"], root), root, name, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if schema.get(alternatives):
            return _instance(schema[alternatives][0], root, name, depth + 1)
    return _of_type(schema, root, name, depth)


def _of_type(schema: JsonObject, root: JsonObject, name: str, depth: int) -> Any:
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        fields = schema.get("properties") or {}
        return {key: _instance(value, root, key, depth + 1) for key, value in fields.items()}
    if kind == "array":
        return [_instance(schema.get("items") or {"type": "string"}, root, name, depth + 1)]
    return _BY_TYPE.get(str(kind), name)


def _referred(reference: str, root: JsonObject) -> JsonObject:
    target = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return target
