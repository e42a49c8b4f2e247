"""The error codes shared by the REST API, gateway, pages, help and OpenAPI document.

Exceptions look up their code when created, so an unregistered code cannot be sent.
tests/test_error_codes.py sends every code once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from core.error_codes import calls, people, settings
from core.error_codes.code import RECORDED, ErrorCode, error_type

__all__ = [
    "CALLS",
    "CODES",
    "GROUPS",
    "RECORDED",
    "ErrorCode",
    "describe",
    "error_type",
    "find",
    "status_of",
]

# Group name -> codes; the help page shows each group under its own heading.
GROUPS: Final[Mapping[str, tuple[ErrorCode, ...]]] = {
    "request": (*calls.REQUEST, *settings.PATHS),
    "app-key": calls.APP_KEY,
    "model": calls.MODEL,
    "trial": calls.TRIAL,
    "provider": calls.PROVIDER,
    "server": calls.SERVER,
    "outcome": calls.OUTCOME,
    "values": settings.VALUES,
    "providers": settings.PROVIDERS,
    "people": (*people.PEOPLE, *people.APP_KEYS),
    "operators": people.OPERATORS,
}
# Codes that a model call can end with.
CALLS: Final = tuple(
    chain(calls.REQUEST, calls.APP_KEY, calls.MODEL, calls.TRIAL, calls.PROVIDER, calls.SERVER)
)


class UnknownErrorCode(LookupError):
    """The code is not registered, or not with this status."""


def _by_code() -> dict[str, ErrorCode]:
    table: dict[str, ErrorCode] = {}
    for entry in chain.from_iterable(GROUPS.values()):
        if entry.code in table:
            raise UnknownErrorCode(f"duplicate code {entry.code}")
        table[entry.code] = entry
    return table


CODES: Final[Mapping[str, ErrorCode]] = _by_code()


def find(code: str) -> ErrorCode:
    """Return the entry of a code.

    Raises:
        UnknownErrorCode: The code is not registered.
    """
    try:
        return CODES[code]
    except KeyError:
        raise UnknownErrorCode(code) from None


def status_of(code: str, status: int | None = None) -> int:
    """Return the HTTP status of a code: `status` if given, otherwise the usual one.

    Raises:
        UnknownErrorCode: The code is not registered, or not with `status`.
    """
    entry = find(code)
    if status is None:
        return entry.status
    if status not in entry.statuses:
        raise UnknownErrorCode(f"{code} is not sent with {status}")
    return status


def describe(code: str) -> ErrorCode:
    """Return the entry of a stored code; an unknown code becomes its own title."""
    return CODES.get(code) or ErrorCode(code, (RECORDED,), code, "")
