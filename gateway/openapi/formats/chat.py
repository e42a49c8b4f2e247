"""Chat and text completions in OpenAI's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

from core.api.json_schema import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Schema,
    any_of,
    constant,
    list_of,
    map_to,
    nullable,
    object_of,
    reference,
)
from gateway.openapi.formats.declaration import Format

USAGE: Final = object_of(
    {"prompt_tokens": COUNT, "total_tokens": COUNT},
    {
        "completion_tokens": COUNT,
        "prompt_tokens_details": nullable(OBJECT),
        "completion_tokens_details": nullable(OBJECT),
    },
)
_PARTS: Final[Mapping[str, Schema]] = {"Usage": USAGE}
_HEAD: Final[Mapping[str, Schema]] = {"id": TEXT, "created": INTEGER, "model": TEXT}
_ANSWER: Final[Mapping[str, Schema]] = {
    "usage": nullable(reference("Usage")),
    "system_fingerprint": nullable(TEXT),
    "service_tier": nullable(TEXT),
}
_FUNCTION: Final[Mapping[str, Schema]] = {"name": TEXT, "arguments": TEXT}
_TOOL_CALL: Final = object_of(
    {"id": TEXT, "type": TEXT},
    {"function": reference("FunctionCall"), "custom": OBJECT, "extra_content": ANYTHING},
)
_TOOL_CALL_DELTA: Final = object_of(
    {"index": INTEGER}, {"id": TEXT, "type": TEXT, "function": reference("FunctionCallDelta")}
)
_MESSAGE: Final[Mapping[str, Schema]] = {
    "content": nullable(TEXT),
    "refusal": nullable(TEXT),
    "reasoning_content": {
        **nullable(TEXT),
        "description": _("What the model thought, from providers that tell."),
    },
    "annotations": list_of(OBJECT),
    "audio": nullable(OBJECT),
    "provider_blocks": {
        **list_of(OBJECT),
        "description": _("Signed reasoning. Send it back unchanged in the next turn."),
    },
}
_TOOL: Final = object_of({"type": TEXT}, {"function": OBJECT, "custom": OBJECT})
_CHOICE: Final[Mapping[str, Schema]] = {"index": INTEGER, "finish_reason": nullable(TEXT)}
# Fields of a request that chat and text completions have in common.
_FIELDS: Final[Mapping[str, Schema]] = {
    "stop": nullable(any_of(TEXT, list_of(TEXT))),
    "seed": nullable(INTEGER),
    "logit_bias": nullable(map_to(NUMBER)),
    "user": TEXT,
}

CHAT: Final = Format(
    name="ChatCompletion",
    description=_(
        "The format of OpenAI's chat completions. Fields that are not listed here go to providers "
        "that speak the same format; what a provider cannot express is a 400 that names the field."
    ),
    fields={
        **_FIELDS,
        "tools": list_of(reference("Tool")),
        "tool_choice": nullable(any_of(TEXT, OBJECT)),
        "parallel_tool_calls": nullable(BOOLEAN),
        "response_format": nullable(object_of({"type": TEXT}, {"json_schema": OBJECT})),
        "reasoning_effort": nullable(TEXT),
        "logprobs": nullable(BOOLEAN),
        "top_logprobs": nullable(INTEGER),
        "modalities": nullable(list_of(TEXT)),
    },
    answer=object_of(
        {
            **_HEAD,
            "object": constant("chat.completion"),
            "choices": list_of(reference("ChatChoice")),
        },
        _ANSWER,
    ),
    parts={
        **_PARTS,
        "FunctionCall": object_of(_FUNCTION),
        "FunctionCallDelta": object_of({}, _FUNCTION),
        "Tool": _TOOL,
        "ToolCall": _TOOL_CALL,
        "ToolCallDelta": _TOOL_CALL_DELTA,
        "ChatMessage": object_of(
            {"role": TEXT},
            {
                **_MESSAGE,
                "tool_calls": nullable(list_of(reference("ToolCall"))),
                "function_call": nullable(reference("FunctionCall")),
            },
        ),
        "ChatMessageDelta": object_of(
            {},
            {
                "role": TEXT,
                **_MESSAGE,
                "tool_calls": nullable(list_of(reference("ToolCallDelta"))),
                "function_call": nullable(reference("FunctionCallDelta")),
            },
        ),
        "ChatChoice": object_of(
            {**_CHOICE, "message": reference("ChatMessage")}, {"logprobs": nullable(OBJECT)}
        ),
        "ChatChoiceDelta": object_of(
            {"index": INTEGER, "delta": reference("ChatMessageDelta")},
            {"finish_reason": nullable(TEXT), "logprobs": nullable(OBJECT)},
        ),
    },
    event=object_of(
        {
            **_HEAD,
            "object": constant("chat.completion.chunk"),
            "choices": list_of(reference("ChatChoiceDelta")),
        },
        _ANSWER,
    ),
)

_COMPLETION: Final = object_of(
    {
        **_HEAD,
        "object": constant("text_completion"),
        "choices": list_of(
            object_of({"index": INTEGER, "text": TEXT}, {**_CHOICE, "logprobs": nullable(OBJECT)})
        ),
    },
    _ANSWER,
)
COMPLETION: Final = Format(
    name="Completion",
    description=_("The format of OpenAI's text completions, for models that continue a text."),
    fields={
        **_FIELDS,
        "suffix": nullable(TEXT),
        "echo": nullable(BOOLEAN),
        "best_of": nullable(INTEGER),
        "logprobs": nullable(INTEGER),
    },
    answer=_COMPLETION,
    parts=_PARTS,
    event=_COMPLETION,
)
