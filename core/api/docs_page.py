"""Convert an OpenAPI document into dataclasses for its documentation page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.api.docs_schema import (
    Document,
    Piece,
    Row,
    as_json,
    example,
    header_row,
    paragraphs,
    parameter_row,
    resolve,
    rows,
)

METHODS: Final = ("get", "post", "put", "patch", "delete")
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "multipart/form-data"
_LINE: Final = " \\\n  "  # between the options of curl


@dataclass(frozen=True, slots=True)
class Content:
    """A body in one of its media types; the example is empty if it is no JSON."""

    media_type: str
    rows: tuple[Row, ...]
    example: str

    @property
    def is_json(self) -> bool:
        return self.media_type == JSON_TYPE


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    description: str
    headers: tuple[Row, ...] = ()
    contents: tuple[Content, ...] = ()

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
    bodies: tuple[Content, ...]
    curl: str
    answers: tuple[Answer, ...]


@dataclass(slots=True)
class Chapter:
    title: str
    anchor: str
    description: str
    operations: list[Operation] = field(default_factory=list)


def chapters(document: Document, scope: str = "") -> list[Chapter]:
    """Group the document's operations by tag, in the order of its tags.

    Args:
        scope: Which every operation needs; by default, `read` or `manage`.
    """
    by_name = {tag["name"]: _chapter(tag) for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                chapter = by_name[item[method]["tags"][0]]
                chapter.operations.append(_operation(document, path, method, item[method], scope))
    return list(by_name.values())


def _chapter(tag: Mapping[str, str]) -> Chapter:
    anchor = re.sub(r"[^a-z0-9]+", "-", tag["name"].lower()).strip("-")
    return Chapter(tag.get("x-displayName", tag["name"]), f"tag-{anchor}", tag["description"])


def _operation(
    document: Document, path: str, method: str, operation: Mapping[str, Any], scope: str
) -> Operation:
    bodies = tuple(_contents(document, operation.get("requestBody", {})))
    answers = tuple(
        _answer(document, status, answer) for status, answer in operation["responses"].items()
    )
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=paragraphs(operation.get("description", "")),
        scope=scope or ("read" if method == "get" else "manage"),
        parameters=tuple(
            parameter_row(document, parameter) for parameter in operation.get("parameters", ())
        ),
        bodies=bodies,
        curl=_curl(method.upper(), path, bodies, answers),
        answers=answers,
    )


def _contents(document: Document, holder: Mapping[str, Any]) -> Iterator[Content]:
    for media_type, content in holder.get("content", {}).items():
        schema = content["schema"]
        fields = tuple(rows(document, schema.get("contentSchema", schema)))
        sample = ""
        if media_type == JSON_TYPE:
            sample = as_json(content.get("example") or example(document, schema))
        yield Content(media_type, fields, sample)


def _answer(document: Document, status: str, answer: Mapping[str, Any]) -> Answer:
    answer = resolve(document, answer)
    if status >= "400":
        return Answer(status, answer.get("description", ""))
    return Answer(
        status,
        answer.get("description", ""),
        tuple(header_row(document, *header) for header in answer.get("headers", {}).items()),
        tuple(_contents(document, answer)),
    )


def _curl(method: str, path: str, bodies: tuple[Content, ...], answers: tuple[Answer, ...]) -> str:
    shown = re.sub(r"{(\w+)}", lambda match: match[1].upper(), path)
    lines = [f'curl "$MODELKEEP_URL{shown}"', '-H "Authorization: Bearer $MODELKEEP_KEY"']
    if method != "GET":
        lines[0] = lines[0].replace("curl ", f"curl -X {method} ", 1)
    if bodies:
        lines += _sent(bodies[0])
    answered = answers[0].contents
    if answered and not any(content.is_json for content in answered):
        lines.append("--output FILE")
    return _LINE.join(lines)


def _sent(body: Content) -> list[str]:
    """Return curl's options for a body: a form has its required fields and the model."""
    if body.is_json:
        sample = json.dumps(json.loads(body.example), ensure_ascii=False).replace("'", r"'\''")
        return ['-H "Content-Type: application/json"', f"-d '{sample}'"]
    asked = (row for row in body.rows if row.level == 0 and (row.required or row.name == "model"))
    return [f"-F {row.name}={_form_value(row)}" for row in asked]


def _form_value(row: Row) -> str:
    if row.is_file:
        return "@FILE"
    return row.choices[0] if row.choices else row.name.upper()
