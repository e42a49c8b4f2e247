"""Request bodies in the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dataplane.doors.interface import CheckedBody
from gateway.dataplane.errors import bad_request
from providers.declaration.spec import Operation
from providers.operations.columns import Stream
from providers.operations.fields import InvalidBody, kind_of
from providers.operations.request_checks import flag
from providers.operations.table import OPERATIONS

# A body must not say where a call goes or with which key; the workspace's settings do.
FORBIDDEN_FIELDS: Final = frozenset({"api_base", "base_url", "api_key", "extra_headers"})
MODEL_LENGTH: Final = 241  # provider, slash, model


def read(operation: Operation, body: Any) -> CheckedBody:
    """Check a JSON body. Raises Refusal (400) that names the field."""
    checked = read_common(body)
    spec = OPERATIONS[operation]
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


def read_common(body: Any) -> CheckedBody:
    """Check what the bodies of all doors have in common. Raises Refusal (400)."""
    if not isinstance(body, dict):
        raise bad_request(f"The body must be a JSON object, not {kind_of(body)}.")
    for name in FORBIDDEN_FIELDS.intersection(body):
        raise bad_request(
            f"{name} cannot be sent with a call: addresses and keys are set on the workspace's "
            "provider pages.",
            name,
        )
    return CheckedBody(_model(body), body)


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
