"""The endpoints of kept responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    BOOLEAN,
    TEXT,
    Schema,
    constant,
    list_of,
    nullable,
    object_of,
    one_of,
    reference,
)
from gateway.dataplane.doors.responses import DOOR
from gateway.dataplane.requests.addresses import INPUT_ITEMS, RESPONSES
from gateway.openapi import errors, headers

_KEPT: Final = _(
    "If the workspace keeps what later calls need: Settings > Workspace. Responses belong to the "
    "workspace, and to app keys that may use their model."
)
_DELETED: Final = _(
    "Deletes it here and, if the provider that made it stores it too, there, with the credential "
    "that made it. If the provider refuses or cannot be reached, nothing is deleted and the error "
    "says why; send the request again."
)
_ID: Final[dict[str, Any]] = {
    "name": "response_id",
    "in": "path",
    "required": True,
    "schema": TEXT,
    "description": _("The response's ID."),
}
_QUERY: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        "description": _("How many items to list."),
    },
    {
        "name": "order",
        "in": "query",
        "schema": {**one_of("asc", "desc"), "default": "desc"},
        "description": _("`asc` lists the oldest first."),
    },
    {
        "name": "after",
        "in": "query",
        "schema": TEXT,
        "description": _("The ID of the item before the first one to list."),
    },
)
SCHEMAS: Final[dict[str, Schema]] = {
    "DeletedResponse": object_of({"id": TEXT, "object": constant("response"), "deleted": BOOLEAN}),
    "ResponseItemList": object_of(
        {
            "object": constant("list"),
            "data": list_of(reference("ResponseItem")),
            "first_id": nullable(TEXT),
            "last_id": nullable(TEXT),
            "has_more": BOOLEAN,
        }
    ),
}
PATH: Final = f"{RESPONSES}{{response_id}}"
ITEMS_PATH: Final = f"{PATH}{INPUT_ITEMS}"


def paths(tag: str) -> dict[str, Any]:
    return {
        PATH: {
            "get": _operation("responses_get", _("Show a kept response"), "Response", tag),
            "delete": _deleting(tag),
        },
        ITEMS_PATH: {
            "get": _operation(
                "responses_input_items",
                _("List what led to a kept response"),
                "ResponseItemList",
                tag,
                _QUERY,
            )
        },
    }


def _deleting(tag: str) -> dict[str, Any]:
    """Describe the one operation that may ask a provider."""
    operation = _operation("responses_delete", _("Delete a kept response"), "DeletedResponse", tag)
    answer = {
        **operation["responses"]["200"],
        "headers": headers.sent([DOOR], ["X-Modelkeep-Left-At"]),
    }
    refusals = errors.references(DOOR, has_body=True)
    return {**operation, "description": _DELETED, "responses": {"200": answer, **refusals}}


def _operation(
    operation_id: str, summary: Any, name: str, tag: str, query: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    answer = {
        "description": _("The answer."),
        "headers": headers.sent([DOOR]),
        "content": {"application/json": {"schema": reference(name)}},
    }
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": _KEPT,
        "parameters": [_ID, *query, headers.REQUEST_ID],
        "responses": {"200": answer, **errors.references(DOOR, has_body=False)},
    }
