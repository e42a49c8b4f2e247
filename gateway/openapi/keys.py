"""The part of the OpenAPI document of /v1 that tells what an app key may do."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    COUNT,
    TEXT,
    Schema,
    constant,
    list_of,
    object_of,
    one_of,
    reference,
)
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.requests.addresses import KEY
from gateway.openapi import errors, headers
from tenants.limits.rates import MEASURES

TAG: Final = "key"
_LIMIT: Final = object_of(
    {
        "scope": one_of("app_key", "member", "workspace"),
        "measure": one_of(*MEASURES),
        "amount": COUNT,
        "used": {**COUNT, "description": _("What counts against the limit now.")},
        "left": COUNT,
        "wait": {
            **COUNT,
            "description": _("Seconds until one more request or token fits; 0 if it does now."),
        },
    }
)
SCHEMAS: Final[dict[str, Schema]] = {
    "Key": object_of(
        {
            "object": constant("key"),
            "name": TEXT,
            "workspace": TEXT,
            "expires": {"type": ["string", "null"], "format": "date-time"},
            "allowed_providers": {**list_of(TEXT), "description": _("Empty means all.")},
            "allowed_models": {**list_of(TEXT), "description": _("Empty means all.")},
            "allowed_operations": {**list_of(TEXT), "description": _("Empty means all.")},
            "limits": list_of(_LIMIT),
        }
    )
}


def paths() -> dict[str, Any]:
    answer = {
        "description": _("The answer."),
        "headers": headers.sent([OPENAI]),
        "content": {"application/json": {"schema": reference("Key")}},
    }
    return {
        KEY: {
            "get": {
                "operationId": "key_get",
                "tags": [TAG],
                "summary": _("Show this app key"),
                "description": _(
                    "What the key of the request may do, and what its rate limits, those of its "
                    "owner and those of the workspace leave it now."
                ),
                "parameters": [headers.REQUEST_ID],
                "responses": {"200": answer, **errors.references(OPENAI, has_body=False)},
            }
        }
    }
