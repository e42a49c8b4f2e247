"""The errors of the data plane, as the table of error codes has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from core.api.json_schema import Schema, any_of, reference
from core.api.openapi_parts import error_schema
from core.error_codes import CALLS, ErrorCode, calls
from gateway.dataplane.doors.interface import Door
from gateway.dataplane.errors import Refusal
from gateway.openapi import headers
from gateway.openapi.formats import messages
from providers.declaration.errors import Failure

_SCHEMAS: Final[Mapping[str, tuple[str, Schema]]] = {"messages": ("MessageError", messages.ERROR)}
_DEFAULT: Final = "Error"
_ANY: Final = "AnyError"
# What only the body of a request can be at fault for.
_OF_BODIES: Final = frozenset(
    {
        *(entry.code for entry in calls.TRIAL),
        *(failure.value for failure in Failure),
        "already_done",
        "idempotency_mismatch",
        "in_progress",
        "not_configured",
        "too_large",
        "too_many_bodies",
        "unsupported_media_type",
    }
) - {"invalid_request", "model_not_found"}
# Of other paths and methods, and of pages.
_ELSEWHERE: Final = frozenset(
    {
        "method_not_allowed",
        "provider_unreachable",
        "provider_wrong_url",
        "unavailable",
    }
)
_ID: Final = "7f3c9a51d2e84b6f90a1c2d3"


def name_of(*doors: Door) -> str:
    """Return the name of the schema of the errors of a door, or of any of several."""
    names = {_SCHEMAS.get(door.name, (_DEFAULT,))[0] for door in doors}
    return names.pop() if len(names) == 1 else _ANY


def schemas() -> dict[str, Schema]:
    each = {_DEFAULT: error_schema(CALLS), **dict(_SCHEMAS.values())}
    return {**each, _ANY: any_of(*map(reference, each))}


def statuses(*, has_body: bool) -> dict[int, list[ErrorCode]]:
    """Return the statuses of errors, each with its codes.

    Calls have a code's usual status; others come from the settings' checks.
    """
    left_out = _ELSEWHERE if has_body else _ELSEWHERE | _OF_BODIES
    found: dict[int, list[ErrorCode]] = {}
    for entry in CALLS:
        if entry.code not in left_out:
            found.setdefault(entry.status, []).append(entry)
    return dict(sorted(found.items()))


def references(*doors: Door, has_body: bool) -> dict[str, Any]:
    """Refer to the responses of an operation's errors, which have the form of one of the doors."""
    return {
        str(status): {"$ref": f"#/components/responses/{name_of(*doors)}{status}"}
        for status in statuses(has_body=has_body)
    }


def responses(doors: Collection[Door]) -> dict[str, Any]:
    """Return the responses that the operations refer to."""
    of_one = {name_of(door): (door,) for door in doors}
    made = {
        f"{name}{status}": _response(those, status, codes)
        for name, those in of_one.items()
        for status, codes in statuses(has_body=True).items()
    }
    return made | {
        f"{_ANY}{status}": _response(tuple(doors), status, codes)
        for status, codes in statuses(has_body=False).items()
    }


def _response(doors: Sequence[Door], status: int, codes: list[ErrorCode]) -> dict[str, Any]:
    refusal = Refusal(codes[0].code, str(codes[0].help), status=status)
    example = orjson.loads(doors[0].error(refusal, _ID))
    content = {"schema": reference(name_of(*doors)), "example": example}
    return {
        "description": "\n".join(f"* `{entry.code}`: {entry.title}" for entry in codes),
        "headers": headers.sent(doors, (*headers.OF_ERRORS, *headers.OF_CALLS)),
        "content": {"application/json": content},
    }
