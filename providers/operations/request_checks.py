"""Checks of request bodies. They refuse only what no provider could understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]


class InvalidBody(ValueError):
    """A body that cannot be sent; param names the invalid field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


def check_chat(body: Body) -> None:
    check_messages(body)
    _check_numbers(body)


def check_messages(body: Body) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidBody("messages must be a list of at least one message.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidBody("Each message must be an object with a role.", f"messages[{number}]")


def check_completion(body: Body) -> None:
    prompt = body.get("prompt")
    if not isinstance(prompt, str | list) or prompt == []:
        raise InvalidBody("prompt must be a string or a list, not empty.", "prompt")
    if isinstance(prompt, list) and not all(isinstance(item, str | int | list) for item in prompt):
        raise InvalidBody("prompt must hold strings, token numbers or lists of those.", "prompt")
    _check_numbers(body)


def check_embeddings(body: Body) -> None:
    value = body.get("input")
    if not isinstance(value, str | list) or not value:
        raise InvalidBody("input must be a string or a list of strings, not empty.", "input")
    if isinstance(value, list) and not all(isinstance(item, str | int | list) for item in value):
        raise InvalidBody("input must hold strings or lists of token numbers.", "input")


def check_speech(body: Body) -> None:
    if not isinstance(body.get("input"), str) or not body["input"].strip():
        raise InvalidBody("input must be the text to speak.", "input")
    if body.get("voice") is not None and not isinstance(body["voice"], str | dict):
        raise InvalidBody("voice must be a string.", "voice")
    if body.get("response_format") is not None and not isinstance(body["response_format"], str):
        message = "response_format must be a string, such as mp3 or wav."
        raise InvalidBody(message, "response_format")
    if body.get("stream_format") not in (None, "audio", "sse"):
        raise InvalidBody("stream_format must be audio or sse.", "stream_format")
    _check_number(body, "speed")


def check_moderation(body: Body) -> None:
    value = body.get("input")
    if not isinstance(value, str | list) or not value:
        raise InvalidBody("input must be a string or a list, not empty.", "input")
    if isinstance(value, list) and not all(isinstance(item, str | dict) for item in value):
        raise InvalidBody("input must hold strings, or objects with a text or an image.", "input")


def check_rerank(body: Body) -> None:
    if not isinstance(body.get("query"), str) or not body["query"]:
        raise InvalidBody("query must be a string, not empty.", "query")
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise InvalidBody("documents must be a list of at least one document.", "documents")
    for number, document in enumerate(documents):
        if not isinstance(document, str | dict):
            message = "A document must be a string, or an object with a text."
            raise InvalidBody(message, f"documents[{number}]")
    _check_count(body, "top_n")
    flag(body, "return_documents")


def check_upload(body: Body) -> None:
    """Accept everything: the file is checked when the form is read."""


def flag(body: Body, name: str) -> bool:
    """Return a Boolean field; false if it is omitted.

    Raises:
        InvalidBody: The value is not a Boolean.
    """
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidBody(f"{name} must be true or false.", name)
    return value


def _check_numbers(body: Body) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        # -1 means no limit, at servers such as llama.cpp's and LM Studio's.
        if name in body and body[name] != -1:
            _check_count(body, name)
    _check_count(body, "n")
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        if name in body:
            _check_number(body, name)


def _check_count(body: Body, name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidBody(f"{name} must be a whole number of at least 1.", name)


def _check_number(body: Body, name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise InvalidBody(f"{name} must be a number.", name)
