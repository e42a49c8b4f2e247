"""Fields of a request's body: what is told if one is missing, null, empty or of another type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.api.json_schema import Schema

Body = Mapping[str, Any]
Kinds = type | tuple[type, ...]

_KINDS: Final = (
    (bool, "a boolean"),
    (int | float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """A field that must be there and hold something.

    Args:
        schema: Describes its values in the OpenAPI document.
        kinds: The types of its values.
        expected: The same in words, after "send" and "must be".
        is_filled: Returns something true for a value of these types that holds something.
        check: Raises InvalidBody for what a value must not hold; takes it and the field's name.
    """

    schema: Schema
    kinds: Kinds
    expected: str
    is_filled: Callable[[Any], object] = bool
    check: Callable[[Any, str], None] | None = None


def problem_of(holder: Any, name: str, kinds: Kinds, expected: str) -> str:
    """Say what is wrong with a field that has to be filled, as the end of a sentence about it.

    Args:
        holder: The object that should have the field.
        kinds: The types that its value may have.
        expected: The same in words.
    """
    value = holder.get(name)
    if name not in holder:
        return f"is missing: send {expected}."
    if value is None:
        return f"is null: send {expected}."
    if not isinstance(value, kinds):
        return f"must be {expected}, not {kind_of(value)}."
    return f"is empty: send {expected}."


def kind_of(value: Any) -> str:
    """Return what a JSON value is, with its article."""
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "null")


def only_if(accepts: Callable[[Any], bool], problem: str) -> Callable[[Any, str], None]:
    """Return a check that refuses the values that are not accepted."""

    def check(value: Any, name: str) -> None:
        if not accepts(value):
            raise InvalidBody(f"{name} {problem}", name)

    return check


def check_each(accepts: Callable[[Any], bool], expected: str) -> Callable[[Any, str], None]:
    """Return a check of a list's items; a value that is no list passes."""

    def check(values: Any, name: str) -> None:
        if isinstance(values, list):
            for number, value in enumerate(values):
                if not accepts(value):
                    raise InvalidBody(
                        f"{name}[{number}] must be {expected}, not {kind_of(value)}.",
                        f"{name}[{number}]",
                    )

    return check
