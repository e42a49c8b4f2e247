"""Tell what the schemas of an OpenAPI document say: fields in rows, types in words, examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

Document = Mapping[str, Any]
Schema = Mapping[str, Any]
_DEEPEST: Final = 3  # levels of fields inside fields
_PLAIN: Final[dict[str, Any]] = {
    "string": "...",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "object": {},
    "uuid": "0199aa10-7c1e-7d3a-9b6e-2f4f7f6f1a01",
    "date-time": "2026-11-22T09:41:07Z",
    "date": "2026-11-22",
    "decimal": "0.0000425",
    "email": "ada@example.com",
    "uri": "https://example.com/",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; `code` if it was in backticks."""

    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A field of a body, a parameter, or a header."""

    name: str
    type: list[Piece]
    required: bool
    description: list[Piece]
    choices: tuple[str, ...] = ()
    level: int = 0
    is_file: bool = False


def paragraphs(text: str) -> list[list[Piece]]:
    """Split a description into paragraphs, and those into plain and code pieces."""
    return [
        [
            Piece(piece, code=number % 2 == 1)
            for number, piece in enumerate(paragraph.replace("\n", " ").split("`"))
            if piece
        ]
        for paragraph in text.strip().split("\n\n")
    ]


def parameter_row(document: Document, parameter: Schema) -> Row:
    schema = resolve(document, parameter["schema"])
    places = {"path": _("%(type)s (in the path)"), "header": _("%(type)s (header)")}
    pattern = places.get(parameter["in"], "%(type)s")
    return Row(
        name=parameter["name"],
        type=paragraphs(pattern % {"type": _type(document, schema)})[0],
        required=parameter.get("required", False),
        description=paragraphs(parameter.get("description", ""))[0],
        choices=_choices(schema),
    )


def header_row(document: Document, name: str, header: Schema) -> Row:
    header = resolve(document, header)
    return parameter_row(document, {**header, "name": name, "in": ""})


def rows(document: Document, schema: Schema, level: int = 0) -> Iterator[Row]:
    """Return the fields of an object, of a list's objects, or of the first object of several."""
    schema = _with_fields(document, schema)
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield _row(document, name, inner, required=name in required, level=level)
        if level < _DEEPEST:
            yield from rows(document, inner, level + 1)


def example(document: Document, schema: Schema, depth: int = 0) -> Any:
    schema = resolve(document, schema)
    for key in ("example", "default", "const"):
        if key in schema and schema[key] != {}:
            return schema[key]
    if schema.get("examples"):
        return schema["examples"][0]
    if values := _values(schema):
        return values[0]
    if "properties" in schema and depth < 6:
        return {
            name: example(document, inner, depth + 1)
            for name, inner in schema["properties"].items()
        }
    kind = next(iter(_kinds(schema)), None)
    if kind == "array":
        values = _values(resolve(document, schema.get("items", {})))[: schema.get("minItems", 1)]
        return values or [example(document, schema.get("items", {}), depth + 1)]
    return _PLAIN.get(schema.get("format", ""), _PLAIN.get(str(kind)))


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def resolve(document: Document, schema: Schema) -> Schema:
    """Follow references and strip null branches, keeping the outer description."""
    if branches := _branches(schema):
        return {**resolve(document, branches[0]), **_without(schema, "allOf", "oneOf", "anyOf")}
    if "$ref" in schema:
        return {**resolve(document, _target(document, schema["$ref"])), **_without(schema, "$ref")}
    return schema


def _row(document: Document, name: str, inner: Schema, *, required: bool, level: int) -> Row:
    resolved = resolve(document, inner)
    kind = _any_type(document, inner)
    return Row(
        name=name,
        type=paragraphs(_("%(type)s or `null`") % {"type": kind} if _nullable(inner) else kind)[0],
        required=required,
        description=paragraphs(resolved.get("description", ""))[0],
        choices=_choices(
            resolved if "enum" in resolved else resolve(document, resolved.get("items", {}))
        ),
        level=level,
        is_file="binary" in (resolved.get("format"), resolved.get("items", {}).get("format")),
    )


def _target(document: Document, reference: str) -> Schema:
    node: Any = document
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    target: Schema = node
    return target


def _without(schema: Schema, *names: str) -> Schema:
    return {name: value for name, value in schema.items() if name not in names}


def _branches(schema: Schema) -> list[Schema]:
    return [
        branch
        for key in ("allOf", "oneOf", "anyOf")
        for branch in schema.get(key, ())
        if branch.get("type") != "null" and branch.get("enum") != [None]
    ]


def _alternatives(document: Document, schema: Schema) -> Iterator[Schema]:
    """Return what a value may be, each without references."""
    if "$ref" in schema:
        yield from _alternatives(document, _target(document, schema["$ref"]))
    elif branches := _branches(schema):
        for branch in branches:
            yield from _alternatives(document, branch)
    else:
        yield schema


def _with_fields(document: Document, schema: Schema) -> Schema:
    """Return the first alternative that has fields, or whose items have."""
    for alternative in _alternatives(document, schema):
        for inner in _alternatives(document, alternative.get("items", alternative)):
            if "properties" in inner:
                return inner
    return {}


def _any_type(document: Document, schema: Schema) -> str:
    """Return the types of all alternatives, each once."""
    types = [_type(document, alternative) for alternative in _alternatives(document, schema)]
    first, *others = dict.fromkeys(types)
    for other in others:
        first = _("%(type)s or %(other)s") % {"type": first, "other": other}
    return first


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type", "object" if "properties" in schema else "any")
    return [name for name in (kind if isinstance(kind, list) else [kind]) if name != "null"]


def _type(document: Document, schema: Schema) -> str:
    name = next(iter(_kinds(schema)), "null")
    if name == "array":
        return _("list of %(type)s") % {
            "type": _type(document, resolve(document, schema.get("items", {})))
        }
    more = schema.get("additionalProperties")
    if name == "object" and isinstance(more, Mapping) and more:
        return _("map to %(type)s") % {"type": _type(document, resolve(document, more))}
    words = {
        "date-time": _("date and time"),
        "uuid": "UUID",
        "date": _("date"),
        "decimal": _("decimal as string"),
        "binary": _("file"),
    }
    return words.get(schema.get("format", ""), f"`{name}`")


def _values(schema: Schema) -> list[Any]:
    return [value for value in schema.get("enum", ()) if value not in (None, "")]


def _choices(schema: Schema) -> tuple[str, ...]:
    return tuple(map(str, _values(schema)))


def _nullable(schema: Schema) -> bool:
    kind = schema.get("type")
    branches = (*schema.get("oneOf", ()), *schema.get("anyOf", ()))
    return (isinstance(kind, list) and "null" in kind) or any(
        branch.get("type") == "null" for branch in branches
    )
