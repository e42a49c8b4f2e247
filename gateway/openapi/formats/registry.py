"""The format of each endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import FILE, OBJECT, Schema
from gateway.dataplane.doors.registry import Endpoint
from gateway.openapi.formats import audio, chat, images, lists, messages, responses
from gateway.openapi.formats.declaration import Format
from providers.declaration.spec import Operation
from providers.operations.columns import OperationSpec, Stream
from providers.operations.table import OPERATIONS

# By the door's name and the operation.
_FORMATS: Final[Mapping[tuple[str, Operation], Format]] = {
    ("openai", Operation.CHAT): chat.CHAT,
    ("openai", Operation.COMPLETION): chat.COMPLETION,
    ("openai", Operation.EMBEDDINGS): lists.EMBEDDINGS,
    ("openai", Operation.TRANSCRIPTION): audio.TRANSCRIPTION,
    ("openai", Operation.TRANSLATION): audio.TRANSLATION,
    ("openai", Operation.SPEECH): audio.SPEECH,
    ("openai", Operation.RERANK): lists.RERANK,
    ("openai", Operation.MODERATION): lists.MODERATION,
    ("openai", Operation.IMAGES): images.GENERATION,
    ("openai", Operation.IMAGE_EDITS): images.EDIT,
    ("responses", Operation.CHAT): responses.RESPONSES,
    ("messages", Operation.CHAT): messages.MESSAGES,
}


def format_of(endpoint: Endpoint) -> Format:
    """Return an endpoint's format; one without a schema of its own has only what the table says."""
    door, operation = endpoint.door.name, endpoint.operation
    return _FORMATS.get((door, operation)) or _plain(OPERATIONS[operation], door)


def _plain(spec: OperationSpec, door: str) -> Format:
    name = f"{door}.{spec.operation}" if door != "openai" else str(spec.operation)
    other: dict[str, Any] = {"application/octet-stream": FILE} if spec.saved_as else {}
    event: Schema | None = None if spec.stream is Stream.NONE else OBJECT
    return Format(
        name="".join(word.capitalize() for word in name.replace(".", " ").split()),
        description=_("The request is passed on to the provider of the model."),
        answer=None if spec.saved_as else OBJECT,
        other_answers=other,
        event=event,
    )
