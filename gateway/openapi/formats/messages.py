"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    COUNT,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Schema,
    any_of,
    constant,
    list_of,
    nullable,
    object_of,
    reference,
)
from gateway.openapi.formats.declaration import Format
from providers.operations.request_checks import check_messages

_BLOCK: Final = object_of(
    {"type": TEXT},
    {
        "text": TEXT,
        "thinking": TEXT,
        "signature": TEXT,
        "id": TEXT,
        "name": TEXT,
        "input": OBJECT,
        "citations": nullable(list_of(OBJECT)),
    },
)
_USAGE: Final = object_of(
    {},
    {
        "input_tokens": nullable(COUNT),
        "output_tokens": COUNT,
        "cache_creation_input_tokens": nullable(COUNT),
        "cache_read_input_tokens": nullable(COUNT),
    },
)
_MESSAGE: Final = object_of(
    {
        "id": TEXT,
        "type": constant("message"),
        "role": constant("assistant"),
        "model": TEXT,
        "content": list_of(reference("MessageBlock")),
        "stop_reason": nullable(TEXT),
        "stop_sequence": nullable(TEXT),
        "usage": reference("MessageUsage"),
    }
)
_PROMPT: Final[Mapping[str, Schema]] = {
    "system": any_of(TEXT, list_of(OBJECT)),
    "tools": list_of(OBJECT),
    "tool_choice": OBJECT,
    "thinking": OBJECT,
}
ERROR: Final = object_of(
    {
        "type": constant("error"),
        "error": object_of(
            {
                "type": TEXT,
                "message": {**TEXT, "description": _("What happened, what it means, what to do.")},
            }
        ),
        "request_id": {
            **TEXT,
            "description": _("Also in the header X-Request-Id and in the server's log."),
        },
    }
)
_EXAMPLE_MESSAGES: Final = [{"role": "user", "content": _("Hello")}]
MESSAGES: Final = Format(
    name="Message",
    summary=_("Chat in Anthropic's Messages format"),
    description=_("The format of Anthropic's messages, for models of all providers."),
    check=check_messages,
    fields={
        **_PROMPT,
        "max_tokens": {
            **INTEGER,
            "description": _(
                "Most tokens of the answer. If you leave it out, the model's own maximum, at most "
                "32,000 at Anthropic."
            ),
        },
        "metadata": OBJECT,
        "stop_sequences": list_of(TEXT),
        "temperature": NUMBER,
        "top_p": NUMBER,
        "top_k": INTEGER,
    },
    answer=_MESSAGE,
    parts={"MessageBlock": _BLOCK, "MessageUsage": _USAGE},
    event=object_of(
        {"type": TEXT},
        {
            "message": reference("Message"),
            "index": INTEGER,
            "content_block": reference("MessageBlock"),
            "delta": OBJECT,
            "usage": nullable(reference("MessageUsage")),
        },
    ),
    example={"max_tokens": 1024, "messages": _EXAMPLE_MESSAGES},
)
COUNT_TOKENS: Final = Format(
    name="TokenCount",
    summary=_("Count tokens"),
    description=_(
        "Counts the tokens of a message's prompt: at the provider if it can, else estimated. "
        "This costs nothing."
    ),
    check=check_messages,
    fields=_PROMPT,
    answer=object_of({"input_tokens": COUNT}),
    example={"messages": _EXAMPLE_MESSAGES},
)
