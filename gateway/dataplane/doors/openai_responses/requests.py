"""Requests in OpenAI's Responses format
(https://developers.openai.com/api/reference/resources/responses) in the neutral form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dataplane.doors.interface import NotKept
from gateway.dataplane.doors.lacking import required, wrong_type
from gateway.dataplane.doors.openai_responses.items import messages_of
from gateway.dataplane.doors.openai_responses.tools import tools_of
from providers.declaration.errors import CannotExpress
from tenants.crypto.keys import Seal

_KEPT: Final = ("temperature", "top_p", "user", "stream")
# Hints that change neither what is asked nor what is answered, and what only OpenAI's tools need.
_DROPPED: Final = frozenset(
    {
        "background",
        "client_metadata",
        "context_management",
        "max_tool_calls",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream_options",
        "truncation",
    }
)
_READ: Final = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        *_KEPT,
    }
)
LOGPROBS: Final = "message.output_text.logprobs"
KEEPS_NONE: Final = (
    "This workspace keeps no responses. Send the whole conversation in `input` and set "
    "`store: false` in your client, or ask an admin to set “Keep for later calls” on the "
    "page Settings > Workspace."
)
_PREVIOUS: Final = {
    NotKept.OFF: KEEPS_NONE,
    NotKept.UNKNOWN: (
        "The previous response was not found: it may have expired, been deleted, or been made "
        "with `store: false`. Send the whole conversation in `input`."
    ),
    NotKept.PARTIAL: (
        "What led to the previous response is stored only by the provider that made it. Go on "
        "with a model of that provider, or send the whole conversation in `input`."
    ),
}
# What is stored elsewhere.
_STORED: Final = {
    "conversation": (
        "This provider stores nothing that conversation could name. Send the whole conversation "
        "in `input`."
    ),
    "prompt": (
        "This provider stores nothing that prompt could name. Send its text in `instructions`."
    ),
}


def neutral_body(
    body: Mapping[str, Any], seal: Seal, not_kept: NotKept = NotKept.OFF
) -> dict[str, Any]:
    """Convert a request.

    Args:
        body: With all that is kept here of what it names.
        seal: Opens what the client keeps.
        not_kept: Why the rest is not there.

    Raises:
        CannotExpress: The neutral form lacks something; `param` names it.
    """
    if body.get("previous_response_id"):
        raise CannotExpress(_PREVIOUS[not_kept], param="previous_response_id")
    for name, value in body.items():
        if value and name in _STORED:
            raise CannotExpress(_STORED[name], param=name)
        if value and name not in _READ and name not in _DROPPED:
            raise CannotExpress(f"This provider does not support {name}.", param=name)
    messages = messages_of(body.get("input"), seal, not_kept)
    if not messages:
        problem = "holds no message" if body.get("input") else "is empty"
        raise CannotExpress(f"input {problem}: send a text or a message.", param="input")
    if instructions := _instructions(body):
        messages.insert(0, {"role": "system", "content": instructions})
    neutral: dict[str, Any] = {"messages": messages}
    neutral |= {name: body[name] for name in _KEPT if body.get(name) is not None}
    if body.get("max_output_tokens") is not None:
        neutral["max_tokens"] = body["max_output_tokens"]
    if effort := part(body, "reasoning").get("effort"):
        neutral["reasoning_effort"] = effort
    return neutral | tools_of(body) | _format(part(body, "text")) | _logprobs(body)


def _instructions(body: Mapping[str, Any]) -> str:
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise wrong_type(instructions, "a text", "instructions")
    return instructions or ""


def _format(text: Mapping[str, Any]) -> dict[str, Any]:
    """Return the format of the answer. Its verbosity is only a hint."""
    asked = part(text, "format", "text.format")
    match asked.get("type"):
        case None | "text":
            return {}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "json_schema" if isinstance(asked.get("schema"), dict):
            names = ("name", "schema", "description", "strict")
            schema = {name: asked[name] for name in names if asked.get(name) is not None}
            described = {"name": "answer", **schema}
            return {"response_format": {"type": "json_schema", "json_schema": described}}
        case "json_schema":
            raise required(asked, "schema", dict, "a JSON schema", "text.format")
    raise CannotExpress("This provider does not support this format.", param="text.format")


def _logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    include = body.get("include")
    if include is not None and not isinstance(include, list):
        raise wrong_type(include, "a list", "include")
    asked = LOGPROBS in (include or ())
    neutral: dict[str, Any] = {"logprobs": True} if asked else {}
    if body.get("top_logprobs"):
        neutral |= {"logprobs": True, "top_logprobs": body["top_logprobs"]}
    return neutral


def part(body: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    """Return a field that is an object, or an empty one."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise wrong_type(value, "an object", where or name)
    return value or {}
