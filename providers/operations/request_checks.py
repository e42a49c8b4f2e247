"""Checks of request bodies. They refuse only what no provider could understand.

The OpenAPI document of /v1 is made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.api.json_schema import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Schema,
    any_of,
    list_of,
    nullable,
    object_of,
    one_of,
)

Body = Mapping[str, Any]


class InvalidBody(ValueError):
    """A body that cannot be sent; param names the invalid field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a field may have.

    Args:
        schema: Describes them in the OpenAPI document.
        check: Raises InvalidBody for others; takes a value and the field's name.
    """

    schema: Schema
    check: Callable[[Any, str], None]


class BodyCheck:
    """Checks a body field by field; null stands for an optional field that is left out.

    Args:
        misnamed: Fields that are refused, each with what to send instead.
    """

    def __init__(
        self,
        required: Mapping[str, Values],
        optional: Mapping[str, Values] | None = None,
        *,
        misnamed: Mapping[str, str] | None = None,
    ) -> None:
        self._misnamed = tuple((misnamed or {}).items())
        self._required = tuple((name, values.check) for name, values in required.items())
        self._optional = tuple((name, values.check) for name, values in (optional or {}).items())
        self.schema = object_of(
            {name: values.schema for name, values in required.items()},
            {name: nullable(values.schema) for name, values in (optional or {}).items()},
        )

    def __call__(self, body: Body) -> None:
        for name, problem in self._misnamed:
            if name in body:
                raise InvalidBody(problem, name)
        for name, check in self._required:
            check(body.get(name), name)
        for name, check in self._optional:
            if (value := body.get(name)) is not None:
                check(value, name)


def only_if(accepts: Callable[[Any], bool], problem: str) -> Callable[[Any, str], None]:
    """Return a check that refuses the values that are not accepted."""

    def check(value: Any, name: str) -> None:
        if not accepts(value):
            raise InvalidBody(f"{name} {problem}", name)

    return check


def _check_each(values: Any, name: str, accepts: Callable[[Any], bool], problem: str) -> None:
    for number, value in enumerate(values):
        if not accepts(value):
            raise InvalidBody(problem, f"{name}[{number}]")


def _check_messages(value: Any, name: str) -> None:
    if not isinstance(value, list) or not value:
        raise InvalidBody("messages must be a list of at least one message.", name)
    for number, message in enumerate(value):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidBody("Each message must be an object with a role.", f"{name}[{number}]")


def _check_prompt(value: Any, name: str) -> None:
    if not isinstance(value, str | list) or value == []:
        raise InvalidBody("prompt must be a string or a list, not empty.", name)
    if isinstance(value, list) and not all(isinstance(item, str | int | list) for item in value):
        raise InvalidBody("prompt must hold strings, token numbers or lists of those.", name)


def _check_texts(value: Any, name: str) -> None:
    if not isinstance(value, str | list) or not value:
        raise InvalidBody("input must be a string or a list of strings, not empty.", name)
    if isinstance(value, list) and not all(isinstance(item, str | int | list) for item in value):
        raise InvalidBody("input must hold strings or lists of token numbers.", name)


def _check_judged(value: Any, name: str) -> None:
    if not isinstance(value, str | list) or not value:
        raise InvalidBody("input must be a string or a list, not empty.", name)
    if isinstance(value, list) and not all(isinstance(item, str | dict) for item in value):
        raise InvalidBody("input must hold strings, or objects with a text or an image.", name)


def _check_documents(value: Any, name: str) -> None:
    if not isinstance(value, list) or not value:
        raise InvalidBody("documents must be a list of at least one document.", name)
    problem = "A document must be a string, or an object with a text."
    _check_each(value, name, lambda document: isinstance(document, str | dict), problem)


def _check_spoken(value: Any, name: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidBody("input must be the text to speak.", name)


def _check_items(value: Any, name: str) -> None:
    if not isinstance(value, str | list):
        raise InvalidBody("input must be a text or a list of items.", name)
    problem = "Each item of input must be an object."
    _check_each(() if isinstance(value, str) else value, name, _is_object, problem)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SOME_TEXT: Final[Schema] = {**TEXT, "minLength": 1}
_COUNT_SCHEMA: Final[Schema] = {**INTEGER, "minimum": 1}
_TOKENS: Final = list_of(any_of(TEXT, INTEGER, list_of(INTEGER)), minItems=1)
_COUNT: Final = Values(_COUNT_SCHEMA, only_if(_is_count, "must be a whole number of at least 1."))
# -1 is no limit, at servers such as llama.cpp's and LM Studio's.
_LIMIT: Final = Values(
    any_of(_COUNT_SCHEMA, {**INTEGER, "enum": [-1]}),
    only_if(lambda value: value == -1 or _is_count(value), "must be a whole number of at least 1."),
)
_NUMBER: Final = Values(NUMBER, only_if(_is_number, "must be a number."))
FLAG: Final = Values(
    BOOLEAN, only_if(lambda value: isinstance(value, bool), "must be true or false.")
)
_MESSAGES: Final = Values(
    list_of(object_of({"role": TEXT}, {"content": {}}), minItems=1), _check_messages
)
_GENERATION: Final = {
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "n": _COUNT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
}

check_messages: Final = BodyCheck({"messages": _MESSAGES})
check_chat: Final = BodyCheck({"messages": _MESSAGES}, _GENERATION)
check_completion: Final = BodyCheck(
    {"prompt": Values(any_of(TEXT, _TOKENS), _check_prompt)}, _GENERATION
)
check_embeddings: Final = BodyCheck({"input": Values(any_of(_SOME_TEXT, _TOKENS), _check_texts)})
check_speech: Final = BodyCheck(
    {"input": Values(_SOME_TEXT, _check_spoken)},
    {
        "voice": Values(
            any_of(TEXT, OBJECT),
            only_if(lambda value: isinstance(value, str | dict), "must be a string."),
        ),
        "response_format": Values(
            TEXT,
            only_if(lambda value: isinstance(value, str), "must be a string, such as mp3 or wav."),
        ),
        "stream_format": Values(
            one_of("audio", "sse"),
            only_if(lambda value: value in ("audio", "sse"), "must be audio or sse."),
        ),
        "speed": _NUMBER,
    },
)
check_moderation: Final = BodyCheck(
    {"input": Values(any_of(_SOME_TEXT, list_of(any_of(TEXT, OBJECT), minItems=1)), _check_judged)}
)
check_rerank: Final = BodyCheck(
    {
        "query": Values(
            _SOME_TEXT,
            only_if(
                lambda value: isinstance(value, str) and value != "",
                "must be a string, not empty.",
            ),
        ),
        "documents": Values(list_of(any_of(TEXT, OBJECT), minItems=1), _check_documents),
    },
    {"top_n": _COUNT, "return_documents": FLAG},
)
check_response: Final = BodyCheck(
    {}, {"input": Values(any_of(TEXT, list_of(OBJECT)), _check_items)}
)
# The file is checked when the form is read.
check_upload: Final = BodyCheck({})


def flag(body: Body, name: str) -> bool:
    """Return a Boolean field; false if it is omitted.

    Raises:
        InvalidBody: The value is not a Boolean.
    """
    value = body.get(name)
    if value is not None:
        FLAG.check(value, name)
    return value is True
