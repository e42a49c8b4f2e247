"""Request bodies, error bodies, model lists and event frames of the OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.dataplane.errors import Refusal, bad_request
from providers.declaration.spec import Operation
from providers.operations.columns import Stream
from providers.operations.request_checks import InvalidBody, flag
from providers.operations.table import OPERATIONS

DONE: Final = b"data: [DONE]\n\n"
# A body must not say where a call goes or with which key; the workspace's settings do.
FORBIDDEN_FIELDS: Final = frozenset({"api_base", "base_url", "api_key", "extra_headers"})
MODEL_LENGTH: Final = 241  # provider, slash, model


@dataclass(slots=True)
class CheckedBody:
    """A request's body after validation, and what the relay needs to know of it."""

    model: str | None
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False


def read(operation: Operation, body: Any) -> CheckedBody:
    """Check a JSON body. Raises Refusal (400) that names the field."""
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    for name in FORBIDDEN_FIELDS.intersection(body):
        raise bad_request(
            f"{name} cannot be sent with a call: addresses and keys are set on the workspace's "
            "provider pages.",
            name,
        )
    spec = OPERATIONS[operation]
    checked = CheckedBody(_model(body), body)
    try:
        wants_stream = flag(body, "stream")
        spec.check(body)
    except InvalidBody as error:
        raise bad_request(error.message, error.param) from None
    if spec.stream is Stream.SPEECH_EVENTS:
        checked.stream = body.get("stream_format") == "sse"
    elif wants_stream and spec.stream is not Stream.NONE:
        checked.stream = True
        checked.include_usage = _wants_usage(body)
    return checked


def ending(operation: Operation) -> bytes:
    """Return what follows the last event of a stream."""
    return DONE if OPERATIONS[operation].stream is Stream.CHUNKS else b""


def _model(body: Mapping[str, Any]) -> str | None:
    model = body.get("model")
    if model is None or model == "":
        return None
    if not isinstance(model, str) or len(model) > MODEL_LENGTH or not model.isprintable():
        raise bad_request(
            f"model must be a string of at most {MODEL_LENGTH} characters: provider/model, a model "
            "or a scenario.",
            "model",
        )
    return model


def _wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise bad_request("stream_options must be an object.", "stream_options")
    return options.get("include_usage") is True


def error_body(refusal: Refusal, request_id: str) -> bytes:
    return orjson.dumps(
        {
            "error": {
                "message": refusal.message,
                "type": refusal.type,
                "code": refusal.code,
                "param": refusal.param,
                "request_id": request_id,
            }
        }
    )


def error_event(refusal: Refusal, request_id: str) -> bytes:
    """Return the last event of a stream that failed after its first byte."""
    return b"event: error\ndata: " + error_body(refusal, request_id) + b"\n\n"


def model_object(name: str, provider: str) -> dict[str, Any]:
    # The creation time is unknown, but clients require a number.
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}


def model_list(objects: Iterable[dict[str, Any]]) -> bytes:
    return orjson.dumps({"object": "list", "data": list(objects)})
