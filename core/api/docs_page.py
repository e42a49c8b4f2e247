"""Convert the OpenAPI document into dataclasses for the documentation page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Row:
    """A field of a body, or a parameter."""

    name: str
    type: list[Piece]
    required: bool
    description: list[Piece]
    choices: tuple[str, ...] = ()
    level: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    description: str
    rows: tuple[Row, ...] = ()
    example: str = ""

    @property
    def is_error(self) -> bool:
        return self.status >= "400"


@dataclass(frozen=True, slots=True)
class Operation:
    anchor: str
    method: str
    path: str
    summary: str
    description: list[list[Piece]]
    scope: str
    parameters: tuple[Row, ...]
    body: tuple[Row, ...]
    body_example: str
    curl: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; `code` if it was in backticks."""

    text: str
    code: bool = False


@dataclass(slots=True)
class Chapter:
    title: str
    anchor: str
    operations: list[Operation] = field(default_factory=list)


def chapters(document: Mapping[str, Any]) -> list[Chapter]:
    """Group the document's operations by tag, in the order of its tags."""
    by_title: dict[str, Chapter] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                title = item[method]["tags"][0]
                chapter = by_title.setdefault(title, Chapter(title, _anchor(title)))
                chapter.operations.append(_operation(document, path, method, item[method]))
    return [by_title[tag["name"]] for tag in document["tags"]]


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


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> Operation:
    body = _content(operation.get("requestBody", {}))
    example = _json(_example(document, body)) if body else ""
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=paragraphs(operation.get("description", "")),
        scope="read" if method == "get" else "manage",
        parameters=tuple(
            _parameter(document, parameter) for parameter in operation.get("parameters", ())
        ),
        body=tuple(_rows(document, body)),
        body_example=example,
        curl=_curl(method.upper(), path, example),
        answers=tuple(
            _answer(document, status, answer) for status, answer in operation["responses"].items()
        ),
    )


def _content(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = (
        holder.get("content", {}).get("application/json", {}).get("schema", {})
    )
    return schema


def _parameter(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> Row:
    schema = _resolve(document, parameter["schema"])
    kind = _type(document, schema)
    return Row(
        name=parameter["name"],
        type=paragraphs(
            _("%(type)s (in the path)") % {"type": kind} if parameter["in"] == "path" else kind
        )[0],
        required=parameter.get("required", False),
        description=paragraphs(parameter.get("description", ""))[0],
        choices=_choices(schema),
    )


def _answer(document: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> Answer:
    schema = _content(answer)
    if status >= "400" or not schema:
        return Answer(status, answer.get("description", ""))
    return Answer(
        status,
        answer.get("description", ""),
        tuple(_rows(document, schema)),
        _json(_example(document, schema)),
    )


def _resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and strip null branches, keeping the outer description."""
    for key in ("allOf", "oneOf", "anyOf"):
        branches = [
            branch
            for branch in schema.get(key, ())
            if branch.get("type") != "null" and branch.get("enum") != [None]
        ]
        if branches:
            return {
                **_resolve(document, branches[0]),
                **{name: value for name, value in schema.items() if name != key},
            }
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return {
            **_resolve(document, target),
            **{name: value for name, value in schema.items() if name != "$ref"},
        }
    return schema


def _type(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "any")
    names = [name for name in (kind if isinstance(kind, list) else [kind]) if name != "null"]
    name = names[0] if names else "null"
    if name == "array":
        return _("list of %(type)s") % {
            "type": _type(document, _resolve(document, schema.get("items", {})))
        }
    more = schema.get("additionalProperties")
    if name == "object" and isinstance(more, Mapping) and more:
        return _("map to %(type)s") % {"type": _type(document, _resolve(document, more))}
    words = {
        "date-time": _("date and time"),
        "uuid": "UUID",
        "date": _("date"),
        "decimal": _("decimal as string"),
    }
    return words.get(schema.get("format", ""), f"`{name}`")


def _values(schema: Mapping[str, Any]) -> list[Any]:
    return [value for value in schema.get("enum", ()) if value not in (None, "")]


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, _values(schema)))


def _nullable(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    branches = (*schema.get("oneOf", ()), *schema.get("anyOf", ()))
    return (isinstance(kind, list) and "null" in kind) or any(
        branch.get("type") == "null" for branch in branches
    )


def _rows(document: Mapping[str, Any], schema: Mapping[str, Any], level: int = 0) -> Iterator[Row]:
    schema = _resolve(document, schema)
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        resolved = _resolve(document, inner)
        description = resolved.get("description", "")
        yield Row(
            name=name,
            type=paragraphs(
                _("%(type)s or `null`") % {"type": _type(document, resolved)}
                if _nullable(inner)
                else _type(document, resolved)
            )[0],
            required=name in required,
            description=paragraphs(description)[0],
            choices=_choices(
                resolved if "enum" in resolved else _resolve(document, resolved.get("items", {}))
            ),
            level=level,
        )
        if level < 3:
            yield from _rows(
                document, _resolve(document, resolved.get("items", resolved)), level + 1
            )


def _example(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    schema = _resolve(document, schema)
    for key in ("example", "default", "const"):
        if key in schema and schema[key] != {}:
            return schema[key]
    if schema.get("examples"):
        return schema["examples"][0]
    if values := _values(schema):
        return values[0]
    if "properties" in schema and depth < 6:
        return {
            name: _example(document, inner, depth + 1)
            for name, inner in schema["properties"].items()
        }
    kind = schema.get("type")
    kind = next((name for name in kind if name != "null"), None) if isinstance(kind, list) else kind
    if kind == "array":
        values = _values(_resolve(document, schema.get("items", {})))[: schema.get("minItems", 1)]
        return values or [_example(document, schema.get("items", {}), depth + 1)]
    return _PLAIN.get(schema.get("format", ""), _PLAIN.get(str(kind)))


_PLAIN: dict[str, Any] = {
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


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _curl(method: str, path: str, body: str) -> str:
    shown = re.sub(r"{(\w+)}", lambda match: match[1].upper(), path)
    lines = [f'curl "$MODELKEEP_URL{shown}"', '-H "Authorization: Bearer $MODELKEEP_KEY"']
    if method != "GET":
        lines[0] = lines[0].replace("curl ", f"curl -X {method} ", 1)
    if body:
        lines += [
            '-H "Content-Type: application/json"',
            f"-d '{json.dumps(json.loads(body), ensure_ascii=False)}'",
        ]
    return " \\\n  ".join(lines)
