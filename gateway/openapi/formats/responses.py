"""OpenAI's Responses."""

from __future__ import annotations

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
    any_of,
    constant,
    list_of,
    map_to,
    nullable,
    object_of,
    one_of,
    reference,
)
from gateway.openapi.formats.declaration import Format
from providers.operations.request_checks import check_response

_CONTENT: Final = object_of({"type": TEXT}, {"text": TEXT, "annotations": list_of(OBJECT)})
_ITEM: Final = object_of(
    {"type": TEXT},
    {
        "id": nullable(TEXT),
        "status": nullable(TEXT),
        "role": TEXT,
        "content": nullable(list_of(reference("ResponseContent"))),
        "call_id": TEXT,
        "name": TEXT,
        "arguments": TEXT,
        "summary": list_of(OBJECT),
        "encrypted_content": nullable(TEXT),
    },
)
_USAGE: Final = object_of(
    {"input_tokens": COUNT, "output_tokens": COUNT, "total_tokens": COUNT},
    {"input_tokens_details": OBJECT, "output_tokens_details": OBJECT},
)
_RESPONSE: Final = object_of(
    {
        "id": TEXT,
        "object": constant("response"),
        "created_at": NUMBER,
        "status": one_of("completed", "failed", "in_progress", "cancelled", "queued", "incomplete"),
        "model": TEXT,
        "output": list_of(reference("ResponseItem")),
    },
    {
        "error": nullable(object_of({"code": TEXT, "message": TEXT})),
        "incomplete_details": nullable(object_of({}, {"reason": TEXT})),
        "usage": nullable(reference("ResponseUsage")),
        "metadata": nullable(map_to(TEXT)),
        "previous_response_id": nullable(TEXT),
        "store": nullable(BOOLEAN),
    },
)
RESPONSES: Final = Format(
    name="Response",
    summary=_("Chat in OpenAI's Responses format"),
    description=_("The format of OpenAI's Responses, for models of all providers."),
    check=check_response,
    fields={
        "instructions": nullable(TEXT),
        "tools": nullable(list_of(object_of({"type": TEXT}))),
        "tool_choice": nullable(any_of(TEXT, OBJECT)),
        "parallel_tool_calls": nullable(BOOLEAN),
        "text": nullable(OBJECT),
        "reasoning": nullable(OBJECT),
        "include": nullable(list_of(TEXT)),
        "store": nullable(BOOLEAN),
        "metadata": nullable(OBJECT),
        "max_output_tokens": nullable(INTEGER),
        "temperature": nullable(NUMBER),
        "top_p": nullable(NUMBER),
        "truncation": nullable(TEXT),
        "prompt_cache_key": nullable(TEXT),
        "previous_response_id": nullable(TEXT),
        "background": {
            **nullable(BOOLEAN),
            "description": _("Responses are not made in the background here."),
        },
    },
    answer=_RESPONSE,
    parts={"ResponseContent": _CONTENT, "ResponseItem": _ITEM, "ResponseUsage": _USAGE},
    event=object_of(
        {"type": TEXT, "sequence_number": INTEGER},
        {
            "response": OBJECT,
            "output_index": INTEGER,
            "content_index": INTEGER,
            "summary_index": INTEGER,
            "item_id": TEXT,
            "item": reference("ResponseItem"),
            "part": OBJECT,
            "delta": TEXT,
            "text": TEXT,
            "arguments": TEXT,
            "code": nullable(TEXT),
            "message": TEXT,
            "error": ANYTHING,
        },
    ),
    example={"input": _("Hello")},
)
