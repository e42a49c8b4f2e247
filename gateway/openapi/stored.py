"""The endpoints of files and batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    BOOLEAN,
    COUNT,
    FILE,
    INTEGER,
    OBJECT,
    TEXT,
    Schema,
    constant,
    list_of,
    nullable,
    object_of,
    one_of,
    reference,
)
from gateway.dataplane.doors.messages import DOOR as MESSAGES
from gateway.dataplane.doors.openai import DOOR
from gateway.dataplane.stored.pages import MOST, PURPOSE
from gateway.dataplane.stored.resources import METHODS
from gateway.openapi import errors, headers
from gateway.openapi.formats.descriptions import with_descriptions

Part = dict[str, Any]


def _query(name: str, schema: Schema, description: Any) -> Part:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_PURPOSE: Final[Schema] = {**TEXT, "pattern": f"^{PURPOSE.pattern}$"}
_PAGE: Final = (
    _query("limit", {**INTEGER, "minimum": 1, "maximum": MOST}, _("How many to list at most.")),
    _query("order", one_of("asc", "desc"), _("`asc` lists the oldest first.")),
    _query("after", TEXT, _("The ID of the one before the first to list.")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """What the document says of one method of a path.

    Args:
        answer: The name of the answer's schema; empty if it is a file.
        media_type: Of such a file.
        bodies: The schemas of requests by media type.
    """

    summary: Any
    description: Any
    answer: str
    media_type: str = "application/octet-stream"
    query: tuple[Part, ...] = ()
    bodies: Mapping[str, Schema] = field(default_factory=dict)


# By kind and name, as METHODS has them.
_OPERATIONS: Final[Mapping[tuple[str, str], _Operation]] = {
    ("files", "list"): _Operation(
        summary=_("List the files"),
        description=_("Files of the workspace that this app key may see, the latest first."),
        answer="FileList",
        query=(*_PAGE, _query("purpose", _PURPOSE, _("Only files with this purpose."))),
    ),
    ("files", "upload"): _Operation(
        summary=_("Upload a file"),
        description=_(
            "The file is stored at a provider: that of the models in its lines, for a batch, or "
            "the one that `provider` names. On a trial, the credits must suffice for all lines."
        ),
        answer="File",
        bodies={
            "multipart/form-data": object_of(
                {"purpose": _PURPOSE, "file": FILE},
                {"provider": {**TEXT, "description": _("The provider's slug.")}},
            )
        },
    ),
    ("files", "show"): _Operation(
        summary=_("Show a file"), description=_("As its provider describes it."), answer="File"
    ),
    ("files", "delete"): _Operation(
        summary=_("Delete a file"),
        description=_("Deletes it at its provider too."),
        answer="DeletedFile",
    ),
    ("files", "content"): _Operation(
        summary=_("Download a file"),
        description=_("Its content, from its provider."),
        answer="",
    ),
    ("batches", "list"): _Operation(
        summary=_("List the batches"),
        description=_("Batches of the workspace that this app key may see, the latest first."),
        answer="BatchList",
        query=_PAGE,
    ),
    ("batches", "create"): _Operation(
        summary=_("Create a batch"),
        description=_(
            "The provider of the file answers its lines, usually for half the price. On a trial, "
            "the credits of all lines are held, and those of the answered ones used."
        ),
        answer="Batch",
        bodies={"application/json": reference("BatchRequest")},
    ),
    ("batches", "show"): _Operation(
        summary=_("Show a batch"),
        description=_("With its state at the provider; results are in `output_file_id`."),
        answer="Batch",
    ),
    ("batches", "cancel"): _Operation(
        summary=_("Cancel a batch"),
        description=_("What was answered already stays in the output, and is billed."),
        answer="Batch",
    ),
    ("messages/batches", "list"): _Operation(
        summary=_("List the message batches"),
        description=_("Batches of the workspace that this app key may see, the latest first."),
        answer="MessageBatchList",
        query=(
            _PAGE[0],
            _query("after_id", TEXT, _("The ID of the one before the first to list.")),
            _query("before_id", TEXT, _("The ID of the one after the last to list.")),
        ),
    ),
    ("messages/batches", "create"): _Operation(
        summary=_("Create a message batch"),
        description=_(
            "Anthropic answers its requests, usually for half the price. On a trial, the credits "
            "of all requests are held, and those of the ones that succeed used."
        ),
        answer="MessageBatch",
        bodies={"application/json": reference("MessageBatchRequest")},
    ),
    ("messages/batches", "show"): _Operation(
        summary=_("Show a message batch"),
        description=_("With its state at the provider; results are at `results_url`."),
        answer="MessageBatch",
    ),
    ("messages/batches", "delete"): _Operation(
        summary=_("Delete a message batch"),
        description=_("Deletes it at its provider too, once what it used is recorded."),
        answer="DeletedMessageBatch",
    ),
    ("messages/batches", "cancel"): _Operation(
        summary=_("Cancel a message batch"),
        description=_("What was answered already stays in the results, and is billed."),
        answer="MessageBatch",
    ),
    ("messages/batches", "results"): _Operation(
        summary=_("Read a message batch's results"),
        description=_("One line for each request, from its provider."),
        answer="",
        media_type="application/x-jsonl",
    ),
}
TAGS: Final = {
    "files": (_("Files"), _("Files that are stored at providers.")),
    "batches": (_("Batches"), _("Many calls in one file, answered within a day.")),
    "messages/batches": (
        _("Message batches"),
        _("Many messages in one request, answered within a day."),
    ),
}


def _list_of(name: str) -> Schema:
    return object_of(
        {
            "object": constant("list"),
            "data": list_of(reference(name)),
            "first_id": nullable(TEXT),
            "last_id": nullable(TEXT),
            "has_more": BOOLEAN,
        }
    )


SCHEMAS: Final[Mapping[str, Schema]] = {
    "File": object_of(
        {"id": TEXT, "object": constant("file"), "purpose": TEXT},
        {"bytes": nullable(COUNT), "created_at": INTEGER, "filename": TEXT, "status": TEXT},
    ),
    "FileList": _list_of("File"),
    "DeletedFile": object_of({"id": TEXT, "object": constant("file"), "deleted": BOOLEAN}),
    "BatchRequest": object_of(
        {
            "input_file_id": {
                **TEXT,
                "description": _("A file that was uploaded with the purpose `batch`."),
            },
            "endpoint": {
                **TEXT,
                "description": _("That of the file's lines, such as `/v1/chat/completions`."),
            },
        },
        {"completion_window": TEXT, "metadata": nullable(OBJECT)},
    ),
    "Batch": object_of(
        {
            "id": TEXT,
            "object": constant("batch"),
            "endpoint": TEXT,
            "input_file_id": TEXT,
            "output_file_id": nullable(TEXT),
            "error_file_id": nullable(TEXT),
            "created_at": INTEGER,
        },
        {
            "status": TEXT,
            "completion_window": TEXT,
            "request_counts": nullable(OBJECT),
            "errors": nullable(OBJECT),
            "metadata": nullable(OBJECT),
        },
    ),
    "BatchList": _list_of("Batch"),
    "MessageBatchRequest": object_of(
        {"requests": list_of(object_of({"custom_id": TEXT, "params": OBJECT}))}
    ),
    "MessageBatch": object_of(
        {
            "id": TEXT,
            "type": constant("message_batch"),
            "processing_status": TEXT,
            "created_at": TEXT,
            "results_url": nullable(TEXT),
        },
        {"request_counts": nullable(OBJECT)},
    ),
    "MessageBatchList": object_of(
        {
            "data": list_of(reference("MessageBatch")),
            "first_id": nullable(TEXT),
            "last_id": nullable(TEXT),
            "has_more": BOOLEAN,
        }
    ),
    "DeletedMessageBatch": object_of({"id": TEXT, "type": constant("message_batch_deleted")}),
}


def paths() -> dict[str, Part]:
    """Return what the table of methods has, by path and method."""
    return {
        path_of(kind, has_id=has_id, rest=rest): {
            method.lower(): _described(kind, name, has_id=has_id)
            for method, name in methods.items()
        }
        for (kind, has_id, rest), methods in METHODS.items()
    }


def path_of(kind: str, *, has_id: bool, rest: str) -> str:
    steps = ["", "v1", kind, *(["{id}"] if has_id else ()), *([rest] if rest else ())]
    return "/".join(steps)


def _described(kind: str, name: str, *, has_id: bool) -> Part:
    operation = _OPERATIONS[kind, name]
    door = MESSAGES if kind.startswith("messages/") else DOOR
    identity = {"name": "id", "in": "path", "required": True, "schema": TEXT}
    identity["description"] = _("The ID, as it was given when the file or batch was made.")
    answer = {
        "description": _("The answer."),
        "headers": headers.sent(
            [door],
            [
                "X-Modelkeep-Provider",
                *(["X-Modelkeep-Credits-Remaining"] if name == "create" else ()),
            ],
        ),
        "content": _content(operation),
    }
    described: Part = {
        "operationId": f"{kind.replace('/', '_')}_{name}",
        "tags": [kind],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [
            *([identity] if has_id else ()),
            *operation.query,
            headers.REQUEST_ID,
            *([headers.IDEMPOTENCY_KEY] if name == "create" else ()),
        ],
        "responses": {"200": answer, **errors.references(door, has_body=True)},
    }
    if operation.bodies:
        content = {
            kind: {"schema": with_descriptions(schema)} for kind, schema in operation.bodies.items()
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _content(operation: _Operation) -> Part:
    if operation.answer:
        return {"application/json": {"schema": reference(operation.answer)}}
    return {operation.media_type: {"schema": FILE}}
