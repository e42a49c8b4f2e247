"""The one table of error codes: the REST API, the gateway, pages, the help and OpenAPI read it.

A code that is not in it cannot be sent: the exceptions look it up when they are made. Every code
is sent once by tests/test_error_codes.py.
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

# Name -> codes; the help page shows each group under a heading of its own.
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
# What a call of a model can end with.
CALLS: Final = tuple(
    chain(calls.REQUEST, calls.APP_KEY, calls.MODEL, calls.TRIAL, calls.PROVIDER, calls.SERVER)
)


class UnknownErrorCode(LookupError):
    """A code that is not in the table, or a status that its code is not sent with."""


def _by_code() -> dict[str, ErrorCode]:
    table: dict[str, ErrorCode] = {}
    for entry in chain.from_iterable(GROUPS.values()):
        if entry.code in table:
            raise UnknownErrorCode(f"{entry.code} is there twice")
        table[entry.code] = entry
    return table


CODES: Final[Mapping[str, ErrorCode]] = _by_code()


def find(code: str) -> ErrorCode:
    """The entry of a code. Raises UnknownErrorCode."""
    try:
        return CODES[code]
    except KeyError:
        raise UnknownErrorCode(code) from None


def status_of(code: str, status: int | None = None) -> int:
    """The HTTP status of a code: the usual one, or `status` where it is one of the others.

    Raises:
        UnknownErrorCode: the code is not in the table, or is not sent with `status`.
    """
    entry = find(code)
    if status is None:
        return entry.status
    if status not in entry.statuses:
        raise UnknownErrorCode(f"{code} is not sent with {status}")
    return status


def describe(code: str) -> ErrorCode:
    """The words of a stored code; a code of another version is its own title."""
    return CODES.get(code) or ErrorCode(code, (RECORDED,), code, "")
