"""What clients of the OpenAI-compatible endpoint send and expect: validation, lists, error bodies, event frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.errors import Refusal, bad_request
from providers.spec import Operation

DONE: Final = b"data: [DONE]\n\n"
# The operations whose `stream` means a stream of chunks that ends in [DONE]. Audio's events end with one that says so itself,
# and speech is asked for as events by a field of its own.
CHUNKED: Final = frozenset({Operation.CHAT, Operation.COMPLETION})
_STREAMED: Final = CHUNKED | {Operation.TRANSCRIPTION, Operation.TRANSLATION}
# A body may not say where a call goes or with which key: that is the workspace's settings alone.
FORBIDDEN_FIELDS: Final = frozenset({"api_base", "base_url", "api_key", "extra_headers"})
MODEL_LENGTH: Final = 241  # provider, slash, model


@dataclass(slots=True)
class Asked:
    """A request's body after validation: what the relay needs to know besides the body itself."""

    model: str | None
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False


def read(operation: Operation, body: Any) -> Asked:
    """Check a JSON body. Raises Refusal (400) naming the field."""
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    for name in FORBIDDEN_FIELDS.intersection(body):
        raise bad_request(f"{name} cannot be sent with a call: addresses and keys are set on the workspace's provider pages.", name)
    asked = Asked(_model(body), body, _flag(body, "stream") and operation in _STREAMED)
    _CHECKS[operation](body)
    if operation is Operation.SPEECH:
        asked.stream = body.get("stream_format") == "sse"
    elif asked.stream:
        asked.include_usage = _wants_usage(body)
    return asked


def ending(operation: Operation) -> bytes:
    """What comes after the last event of a stream."""
    return DONE if operation in CHUNKED else b""


def _model(body: Mapping[str, Any]) -> str | None:
    model = body.get("model")
    if model is None or model == "":
        return None
    if not isinstance(model, str) or len(model) > MODEL_LENGTH or not model.isprintable():
        raise bad_request(f"model must be a string of at most {MODEL_LENGTH} characters: provider/model, a model or a scenario.", "model")
    return model


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise bad_request(f"{name} must be true or false.", name)
    return value


def _wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise bad_request("stream_options must be an object.", "stream_options")
    return options.get("include_usage") is True


def _check_chat(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bad_request("messages must be a list of at least one message.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise bad_request("Each message must be an object with a role.", f"messages[{number}]")
    _check_numbers(body)


def _check_completion(body: Mapping[str, Any]) -> None:
    prompt = body.get("prompt")
    if not isinstance(prompt, str | list) or prompt == []:
        raise bad_request("prompt must be a string or a list, not empty.", "prompt")
    if isinstance(prompt, list) and not all(isinstance(item, str | int | list) for item in prompt):
        raise bad_request("prompt must hold strings, token numbers or lists of those.", "prompt")
    _check_numbers(body)


def _check_embeddings(body: Mapping[str, Any]) -> None:
    value = body.get("input")
    if not isinstance(value, str | list) or not value:
        raise bad_request("input must be a string or a list of strings, not empty.", "input")
    if isinstance(value, list) and not all(isinstance(item, str | int | list) for item in value):
        raise bad_request("input must hold strings or lists of token numbers.", "input")


def _check_speech(body: Mapping[str, Any]) -> None:
    if not isinstance(body.get("input"), str) or not body["input"].strip():
        raise bad_request("input must be the text to speak.", "input")
    if body.get("voice") is not None and not isinstance(body["voice"], str | dict):
        raise bad_request("voice must be a string.", "voice")
    if body.get("response_format") is not None and not isinstance(body["response_format"], str):
        raise bad_request("response_format must be a string, such as mp3 or wav.", "response_format")
    if body.get("stream_format") not in (None, "audio", "sse"):
        raise bad_request("stream_format must be audio or sse.", "stream_format")
    _check_number(body, "speed")


def _check_moderation(body: Mapping[str, Any]) -> None:
    value = body.get("input")
    if not isinstance(value, str | list) or not value:
        raise bad_request("input must be a string or a list, not empty.", "input")
    if isinstance(value, list) and not all(isinstance(item, str | dict) for item in value):
        raise bad_request("input must hold strings, or objects with a text or an image.", "input")


def _check_rerank(body: Mapping[str, Any]) -> None:
    if not isinstance(body.get("query"), str) or not body["query"]:
        raise bad_request("query must be a string, not empty.", "query")
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise bad_request("documents must be a list of at least one document.", "documents")
    for number, document in enumerate(documents):
        if not isinstance(document, str | dict):
            raise bad_request("A document must be a string, or an object with a text.", f"documents[{number}]")
    _check_count(body, "top_n")
    _flag(body, "return_documents")


def _check_numbers(body: Mapping[str, Any]) -> None:
    """Only what no provider could mean otherwise; what a provider merely dislikes is its own answer."""
    for name in ("max_tokens", "max_completion_tokens", "n"):
        _check_count(body, name)
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        _check_number(body, name)


def _check_count(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise bad_request(f"{name} must be a whole number of at least 1.", name)


def _check_number(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise bad_request(f"{name} must be a number.", name)


def _check_upload(body: Mapping[str, Any]) -> None:
    """The file itself was checked when the form was read."""


_CHECKS: Final[dict[Operation, Callable[[Mapping[str, Any]], None]]] = {
    Operation.CHAT: _check_chat,
    Operation.COMPLETION: _check_completion,
    Operation.EMBEDDINGS: _check_embeddings,
    Operation.TRANSCRIPTION: _check_upload,
    Operation.TRANSLATION: _check_upload,
    Operation.SPEECH: _check_speech,
    Operation.RERANK: _check_rerank,
    Operation.MODERATION: _check_moderation,
}


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
    """The last event of a stream that failed after its first byte."""
    return b"event: error\ndata: " + error_body(refusal, request_id) + b"\n\n"


def model_object(name: str, provider: str) -> dict[str, Any]:
    # When a model was made is not known here; clients want a number.
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}


def model_list(objects: Iterable[dict[str, Any]]) -> bytes:
    return orjson.dumps({"object": "list", "data": list(objects)})
