"""What the OpenAPI documents of both APIs have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core import error_codes
from core.api.json_schema import Schema
from core.error_codes import ErrorCode

VERSION: Final = str(settings.SPECTACULAR_SETTINGS["VERSION"])
ABOUT: Final = {
    "contact": {"name": "Modelkeep", "url": settings.SITE_URL},
    "license": {
        "name": "Apache 2.0",
        "url": "https://www.apache.org/licenses/LICENSE-2.0",
    },
}


def error_schema(
    codes: Iterable[ErrorCode], optional: Mapping[str, Schema] | None = None
) -> dict[str, Any]:
    """Return the schema of error bodies.

    Args:
        codes: Those that can be sent.
        optional: Fields that some errors have.
    """
    return {
        "type": "object",
        "required": ["error"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "code", "param", "request_id"],
                "properties": {
                    "message": {
                        "type": "string",
                        "description": _("What happened, what it means, what to do."),
                    },
                    "type": {"type": "string"},
                    "code": {
                        "type": "string",
                        "description": _("A stable code for programs."),
                        "x-error-codes": _described(codes),
                    },
                    "param": {
                        "type": ["string", "null"],
                        "description": _("The field to correct."),
                    },
                    "request_id": {
                        "type": "string",
                        "description": _(
                            "Also in the header X-Request-Id and in the server's log."
                        ),
                    },
                    **(optional or {}),
                },
            }
        },
    }


def _described(codes: Iterable[ErrorCode]) -> dict[str, Any]:
    """Describe the codes. They are not an `enum`: new features add codes, and strict clients would
    reject them.
    """
    return {
        entry.code: {"statuses": list(entry.statuses), "title": entry.title, "help": entry.help}
        for entry in codes
        if entry.statuses != (error_codes.RECORDED,)
    }


def resolved(node: Any) -> Any:
    """Return a part of a document with its texts in the active language."""
    if isinstance(node, Mapping):
        return {name: resolved(inner) for name, inner in node.items()}
    if isinstance(node, list | tuple):
        return [resolved(inner) for inner in node]
    return str(node) if isinstance(node, Promise) else node
