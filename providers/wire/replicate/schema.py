"""The input and output schema of a Replicate model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import ModelType, Reply
from providers.failures.reasons import Reason
from providers.wire.http import json_or_none

_VERSION_ID = re.compile(r"[0-9a-f]{64}")

# Models name their inputs freely: the names in use for each purpose, the most common first.
PROMPT = ("prompt", "text", "message")
TEXTS = ("texts", "text_batch", "inputs")
TEXT = ("text", "input", "prompt")
AUDIO = ("audio", "audio_file", "file")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model accepts and returns.

    Attributes:
        version: the id a prediction must name; "" for an official model.
        inputs: schema of each input by name; None if unknown.
        required: names of the required inputs.
        output: schema of the output.
    """

    version: str = ""
    inputs: Mapping[str, Mapping[str, Any]] | None = None
    required: Sequence[str] = ()
    output: Mapping[str, Any] = field(default_factory=dict)

    def first(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` that the model accepts, or the most common one if its inputs
        are unknown.
        """
        if self.inputs is None:
            return names[0]
        return next((name for name in names if name in self.inputs), None)

    def takes(self, name: str) -> bool:
        return self.inputs is not None and name in self.inputs

    def is_list(self, name: str) -> bool:
        return (self.inputs or {}).get(name, {}).get("type") == "array"


def shape_text(reply: Reply, version: str) -> str:
    """Summarize a description of a model, or of one version, as the JSON of a Shape.

    Args:
        reply: the provider's reply; an error yields a shape without inputs.
        version: the version requested; "" for the latest.
    """
    body = json_or_none(reply.body) if reply.status < 300 else None
    body = body if isinstance(body, dict) else {}
    description = body if version else body.get("latest_version")
    description = description if isinstance(description, dict) else {}
    identity = description.get("id")
    if (
        not version
        and body.get("is_official") is not True
        and isinstance(identity, str)
        and _VERSION_ID.fullmatch(identity)
    ):
        version = identity
    return orjson.dumps({"version": version, **_schema(description.get("openapi_schema"))}).decode()


def shape_from(text: str) -> Shape:
    return Shape(**orjson.loads(text))


def _schema(openapi: Any) -> dict[str, Any]:
    components = openapi.get("components") if isinstance(openapi, dict) else None
    schemas = components.get("schemas") if isinstance(components, dict) else None
    if not isinstance(schemas, dict):
        return {}
    inputs = schemas.get("Input")
    properties = inputs.get("properties") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(properties, dict):
        return {}
    required = inputs.get("required")
    output = schemas.get("Output")
    return {
        "inputs": {name: _property(schema) for name, schema in properties.items()},
        "required": [name for name in required if isinstance(name, str)]
        if isinstance(required, list)
        else [],
        "output": _property(output)
        | ({"title": output["title"]} if isinstance(output, dict) and "title" in output else {}),
    }


def _property(schema: Any) -> dict[str, Any]:
    """Keep type, format and minimum of a property, also if they are inside a list of
    alternatives.
    """
    if not isinstance(schema, dict):
        return {}
    for name in ("anyOf", "allOf", "oneOf"):
        for alternative in schema.get(name) or ():
            if (
                "type" not in schema
                and isinstance(alternative, dict)
                and alternative.get("type") not in (None, "null")
            ):
                return _property(alternative)
    summary = {name: schema[name] for name in ("type", "format", "minimum") if name in schema}
    return summary | ({"items": _property(schema["items"])} if "items" in schema else {})


def check_fits(shape: Shape, kind: ModelType) -> None:
    """Check that the schema, as far as it is known, fits the model type.

    Raises:
        ProviderError: if the model is of another type.
    """
    if shape.inputs is None:
        return
    fits = {
        ModelType.REASONING: shape.first((*PROMPT, "messages")) is not None
        and _may_be(shape.output, "string"),
        ModelType.EMBEDDING: shape.first((*TEXTS, *TEXT)) is not None
        and not _is_file(shape.output),
        ModelType.SPEECH_TO_TEXT: audio_name(shape) is not None and not _is_file(shape.output),
        ModelType.IMAGE: shape.first(PROMPT) is not None
        and (not shape.output or _is_file(shape.output)),
    }
    if not fits.get(kind, True):
        raise ProviderError(Failure.MODEL_NOT_FOUND, Reason("other_type", type=kind.value))


def _is_file(output: Mapping[str, Any]) -> bool:
    return output.get("format") == "uri" or (output.get("items") or {}).get("format") == "uri"


def _may_be(output: Mapping[str, Any], kind: str) -> bool:
    """Tell whether an output can be a value or a list of values of this type, and not a file."""
    inner = output.get("items") or output
    return not _is_file(output) and inner.get("type", kind) == kind


def audio_name(shape: Shape) -> str | None:
    """Return the name of the input that takes the recording."""
    usual = shape.first(AUDIO)
    if usual is not None:
        return usual
    names = (
        name
        for name, schema in (shape.inputs or {}).items()
        if schema.get("format") == "uri" and "audio" in name
    )
    return next(names, None)
