"""Checks that several formats share for neutral requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Request, Upload


def messages_of(body: Mapping[str, Any]) -> list[Any]:
    """Return the messages of a chat, at least one. Raises CannotExpress."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise CannotExpress("messages must be a list of at least one message.", param="messages")
    return messages


def refuse_several_choices(body: Mapping[str, Any]) -> None:
    """Raise CannotExpress if a request wants more than one answer."""
    count = body.get("n")
    if isinstance(count, int) and count > 1:
        raise CannotExpress(
            "This provider returns one choice per call. Leave out n or set it to 1.", param="n"
        )


def upload_of(request: Request) -> Upload:
    """Return the audio file. Raises CannotExpress if there is none."""
    if request.upload is None:
        raise CannotExpress("An audio file is missing.", param="file")
    return request.upload


def fixed_size() -> CannotExpress:
    """Make the error for `dimensions` at a model whose vectors have a fixed size."""
    return CannotExpress(
        "This model's vectors have a fixed size. Leave out dimensions.", param="dimensions"
    )
