"""Requests in Anthropic's format in the neutral form.

See https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.dataplane.doors.anthropic.content import messages_of, system_of
from gateway.dataplane.doors.lacking import text_in, wrong_type
from providers.declaration.errors import CannotExpress
from providers.wire.anthropic.errors import unsupported

USER_LENGTH: Final = 64  # characters of `user` that OpenAI accepts
# Tokens of thinking from which an effort is meant: about half of what each stands for.
_EFFORTS: Final = ((12_288, "high"), (4096, "medium"), (0, "low"))
_RENAMED: Final = {"max_tokens": "max_tokens", "stop_sequences": "stop"}
_KEPT: Final = ("temperature", "top_p", "top_k", "stream")
# What the neutral form cannot express. Other fields are hints or belong to betas, which clients
# switch on by themselves; they are left out.
_REFUSED: Final = ("container", "mcp_servers")


def neutral_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a request.

    Raises:
        CannotExpress: The neutral form lacks something; `param` names it.
    """
    for name in _REFUSED:
        if body.get(name):
            raise CannotExpress(f"This provider does not support {name}.", param=name)
    if body.get("thread"):
        raise CannotExpress(
            "This provider keeps no conversations. Leave thread out, and send all messages.",
            param="thread",
            details=unsupported("thread"),
        )
    messages = system_of(body.get("system")) + messages_of(body["messages"])
    neutral: dict[str, Any] = {"messages": messages}
    for name, new_name in (*_RENAMED.items(), *zip(_KEPT, _KEPT, strict=True)):
        if body.get(name) not in (None, []):
            neutral[new_name] = body[name]
    neutral |= _tools(body)
    if effort := _effort(body):
        neutral["reasoning_effort"] = effort
    if (schema := _schema(body)) is not None:
        described = {"name": "answer", "schema": schema}
        neutral["response_format"] = {"type": "json_schema", "json_schema": described}
    user = _part(body, "metadata").get("user_id")
    if isinstance(user, str) and user:
        neutral["user"] = (
            user if len(user) <= USER_LENGTH else hashlib.sha256(user.encode()).hexdigest()
        )
    return neutral


def _effort(body: Mapping[str, Any]) -> str:
    """Return the effort that `thinking` and `output_config` ask for; empty for the default."""
    thinking, effort = _part(body, "thinking"), _part(body, "output_config").get("effort")
    if thinking.get("type") == "disabled":
        return "none"
    if isinstance(effort, str) and effort:
        return "high" if effort in ("xhigh", "max") else effort
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int):
        return next(name for least, name in _EFFORTS if budget >= least or not least)
    return "medium" if thinking.get("type") == "adaptive" else ""


def _schema(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON schema that the answer must follow."""
    asked = _part(body, "output_config").get("format") or body.get("output_format")
    if asked is None:
        return None
    if isinstance(asked, dict) and asked.get("type") == "json_schema":
        schema = asked.get("schema")
        if isinstance(schema, dict):
            return schema
    raise CannotExpress("This format of answers is not supported.", param="output_config.format")


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise wrong_type(tools, "a list", "tools")
    if not tools:
        return {}
    neutral: dict[str, Any] = {
        "tools": [_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools)]
    }
    choice = _part(body, "tool_choice")
    if choice.get("disable_parallel_tool_use") is True:
        neutral["parallel_tool_calls"] = False
    match choice.get("type"):
        case "auto" | "none":
            neutral["tool_choice"] = choice["type"]
        case "any":
            neutral["tool_choice"] = "required"
        case "tool":
            named = {"name": choice.get("name")}
            neutral["tool_choice"] = {"type": "function", "function": named}
        case None:
            pass
        case _:
            raise CannotExpress("This tool_choice is not supported.", param="tool_choice")
    return neutral


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise wrong_type(tool, "an object", where)
    kind, name = tool.get("type"), tool.get("name")
    if kind not in (None, "custom"):
        raise CannotExpress(
            f"This provider does not have Anthropic's tool {str(name)[:60]!r} of type "
            f"{str(kind)[:60]!r}. Leave it out, or use a model of Anthropic.",
            param=where,
        )
    name = text_in(tool, "name", "the tool's name", where)
    function: dict[str, Any] = {"name": name, "parameters": tool.get("input_schema") or {}}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise wrong_type(value, "an object", name)
    return value or {}
