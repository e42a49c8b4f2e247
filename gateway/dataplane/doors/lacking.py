"""Refusals of requests that lack what their own format requires, before they are converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.declaration.errors import CannotExpress
from providers.operations.fields import Kinds, kind_of, problem_of


def required(
    holder: Mapping[str, Any], name: str, kinds: Kinds, expected: str, where: str
) -> CannotExpress:
    """Return the error for a field that is missing, null, empty or of another type.

    Args:
        holder: The object that should have the field.
        kinds: The types that its value may have.
        expected: The same in words.
        where: The object's place in the request.
    """
    place = f"{where}.{name}"
    return CannotExpress(f"{place} {problem_of(holder, name, kinds, expected)}", param=place)


def text_in(holder: Mapping[str, Any], name: str, expected: str, where: str) -> str:
    """Return a text that must not be empty.

    Raises:
        CannotExpress: There is none; `param` names its place.
    """
    text = holder.get(name)
    if not isinstance(text, str) or not text:
        raise required(holder, name, str, expected, where)
    return text


def wrong_type(value: Any, expected: str, where: str) -> CannotExpress:
    """Return the error for a value that is something else than `expected`."""
    return CannotExpress(f"{where} must be {expected}, not {kind_of(value)}.", param=where)
