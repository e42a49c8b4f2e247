"""Checks of request bodies. They refuse only what no provider could understand.

The OpenAPI document of /v1 is made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from providers.operations.fields import (
    Body,
    InvalidBody,
    Required,
    Values,
    check_each,
    kind_of,
    only_if,
    problem_of,
)


class BodyCheck:
    """Checks a body field by field; null stands for an optional field that is left out.

    Args:
        misnamed: Fields that are refused, each with what to send instead.
    """

    def __init__(
        self,
        required: Mapping[str, Required],
        optional: Mapping[str, Values] | None = None,
        *,
        misnamed: Mapping[str, str] | None = None,
    ) -> None:
        self._misnamed = tuple((misnamed or {}).items())
        self._required = tuple(required.items())
        self._optional = tuple((name, values.check) for name, values in (optional or {}).items())
        self.schema = object_of(
            {name: field.schema for name, field in required.items()},
            {name: nullable(values.schema) for name, values in (optional or {}).items()},
        )

    def __call__(self, body: Body) -> None:
        for name, problem in self._misnamed:
            if name in body:
                raise InvalidBody(problem, name)
        for name, field in self._required:
            value = body.get(name)
            if not isinstance(value, field.kinds) or not field.is_filled(value):
                raise InvalidBody(
                    f"{name} {problem_of(body, name, field.kinds, field.expected)}", name
                )
            if field.check is not None:
                field.check(value, name)
        for name, check in self._optional:
            if (value := body.get(name)) is not None:
                check(value, name)


def _check_messages(messages: Any, name: str) -> None:
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _wrong_message(message, f"{name}[{number}]")


def _wrong_message(message: Any, where: str) -> InvalidBody:
    if not isinstance(message, dict):
        return InvalidBody(f"{where} must be an object, not {kind_of(message)}.", where)
    problem = problem_of(message, "role", str, "a role, such as user")
    return InvalidBody(f"{where}.role {problem}", f"{where}.role")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_prompt(value: Any) -> bool:
    return isinstance(value, str | int | list)


def _check_items(value: Any, name: str) -> None:
    if not isinstance(value, str | list):
        raise InvalidBody(f"{name} must be {INPUT}, not {kind_of(value)}.", name)
    _EACH_ITEM(value, name)


INPUT: Final = "a text or a list of items"  # of a response
_EACH_ITEM: Final = check_each(_is_object, "an object")
_EACH_PROMPT: Final = check_each(_is_prompt, "a string, a token number or a list of those")
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
_MESSAGES: Final = Required(
    schema=list_of(object_of({"role": TEXT}, {"content": {}}), minItems=1),
    kinds=list,
    expected="a list of at least one message",
    check=_check_messages,
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
    {
        "prompt": Required(
            schema=any_of(TEXT, _TOKENS),
            kinds=(str, list),
            expected="a string, or a list of strings or of token numbers",
            is_filled=lambda prompt: prompt != [],
            check=_EACH_PROMPT,
        )
    },
    _GENERATION,
)
check_embeddings: Final = BodyCheck(
    {
        "input": Required(
            schema=any_of(_SOME_TEXT, _TOKENS),
            kinds=(str, list),
            expected="a string, or a list of strings or of token numbers",
            check=_EACH_PROMPT,
        )
    }
)
check_speech: Final = BodyCheck(
    {
        "input": Required(
            schema=_SOME_TEXT, kinds=str, expected="the text to speak", is_filled=str.strip
        )
    },
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
    {
        "input": Required(
            schema=any_of(_SOME_TEXT, list_of(any_of(TEXT, OBJECT), minItems=1)),
            kinds=(str, list),
            expected="a string, or a list of texts and images",
            check=check_each(
                lambda item: isinstance(item, str | dict),
                "a string, or an object with a text or an image",
            ),
        )
    }
)
check_rerank: Final = BodyCheck(
    {
        "query": Required(schema=_SOME_TEXT, kinds=str, expected="a string"),
        "documents": Required(
            schema=list_of(any_of(TEXT, OBJECT), minItems=1),
            kinds=list,
            expected="a list of at least one document",
            check=check_each(
                lambda document: isinstance(document, str | dict),
                "a string, or an object with a text",
            ),
        ),
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
