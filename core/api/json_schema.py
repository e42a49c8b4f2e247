"""Build JSON Schemas, of which OpenAPI documents consist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

ANYTHING: Final[Schema] = {}
BOOLEAN: Final[Schema] = {"type": "boolean"}
INTEGER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
TEXT: Final[Schema] = {"type": "string"}
OBJECT: Final[Schema] = {"type": "object", "additionalProperties": True}
FILE: Final[Schema] = {"type": "string", "format": "binary"}


def object_of(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **more: Any
) -> Schema:
    """Return the schema of an object, which may have other fields too."""
    schema: dict[str, Any] = {"type": "object", **more}
    if required:
        schema["required"] = list(required)
    return {**schema, "properties": {**required, **(optional or {})}}


def list_of(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def map_to(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def one_of(*choices: Any, **more: Any) -> Schema:
    """Return the schema of some texts."""
    return {"type": "string", "enum": list(choices), **more}


def constant(value: str) -> Schema:
    """Return the schema of one text, in the way that most generators of clients know."""
    return one_of(value)


def any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def nullable(schema: Schema) -> Schema:
    """Return a schema that allows null too."""
    if not schema:
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(kind := schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return any_of(schema, {"type": "null"})


def reference(name: str) -> Schema:
    """Refer to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
