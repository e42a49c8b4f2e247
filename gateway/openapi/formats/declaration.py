"""What the OpenAPI document says of an endpoint's bodies beyond what the tables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.api.json_schema import Schema
from providers.operations.request_checks import BodyCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The bodies of one endpoint.

    Args:
        name: Of the answer's schema; the names of the others begin with it.
        description: Lazy text for people.
        summary: Lazy text, a few words; None for the operation's label.
        answer: The schema of a whole answer in JSON; None if it is not JSON.
        check: What the door refuses; None for the operation's own check.
        fields: Fields of a request that are passed on unchecked.
        other_answers: Schemas of whole answers by their other media types.
        parts: Schemas that the others refer to by name, each after those it refers to; generators
            of clients make a type of each.
        event: The schema of the data of a stream's events; None if it is never streamed.
        example: A request, with lazy texts; None for the operation's own example.
    """

    name: str
    description: Any
    answer: Schema | None
    summary: Any = None
    check: BodyCheck | None = None
    fields: Mapping[str, Schema] = field(default_factory=dict)
    other_answers: Mapping[str, Schema] = field(default_factory=dict)
    parts: Mapping[str, Schema] = field(default_factory=dict)
    event: Schema | None = None
    example: Mapping[str, Any] | None = None
