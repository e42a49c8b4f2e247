"""Tools and the choice of tools in the neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.dataplane.doors.openai_responses.items import ADDED_TOOLS
from providers.declaration.errors import CannotExpress

Tool = dict[str, Any]
# Tools of OpenAI that clients offer everyone: their models work without.
_DROPPED: Final = ("namespace", "web_search", "tool_search", "image_generation")
_WORDS: Final = ("auto", "none", "required")


def tools_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tools` and what goes with them.

    Raises:
        CannotExpress: The neutral form lacks a tool.
    """
    converted = [_tool(tool, where) for tool, where in _offered(body) if not _is_dropped(tool)]
    choice, converted = _chosen(body.get("tool_choice"), converted)
    if not converted:
        if choice not in (None, "auto", "none"):
            message = "This provider has none of the tools, so none can be required."
            raise CannotExpress(message, param="tool_choice")
        return {}
    neutral: dict[str, Any] = {"tools": converted}
    if choice is not None:
        neutral["tool_choice"] = choice
    if body.get("parallel_tool_calls") is False:
        neutral["parallel_tool_calls"] = False
    return neutral


def _offered(body: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield each tool with its place: those of the request, and those of items in its input."""
    given = body.get("input")
    holders = [(body, "tools")] + [
        (item, f"input[{number}].tools")
        for number, item in enumerate(given if isinstance(given, list) else ())
        if item.get("type") == ADDED_TOOLS
    ]
    for holder, where in holders:
        tools = holder.get("tools")
        if tools is not None and not isinstance(tools, list):
            raise CannotExpress(f"{where} must be a list.", param=where)
        for number, tool in enumerate(tools or ()):
            yield tool, f"{where}[{number}]"


def _is_dropped(tool: Any) -> bool:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return isinstance(kind, str) and kind.startswith(_DROPPED)


def _tool(tool: Any, where: str) -> Tool:
    match tool:
        case {"type": "function", "name": str(name)}:
            function: Tool = {"name": name, "parameters": tool.get("parameters") or {}}
            if isinstance(tool.get("description"), str):
                function["description"] = tool["description"]
            if tool.get("strict") is True:
                function["strict"] = True
            return {"type": "function", "function": function}
        case {"type": "custom", "name": str()}:
            custom = {key: value for key, value in tool.items() if key != "type"}
            return {"type": "custom", "custom": custom}
        case {"type": "function" | "custom"}:
            raise CannotExpress(f"{where} needs a name.", param=f"{where}.name")
    kind = str(tool.get("type"))[:60] if isinstance(tool, dict) else "none"
    message = f"This provider does not have OpenAI's tool of type {kind!r}. Leave it out ({where})."
    raise CannotExpress(message, param=where)


def _chosen(choice: Any, tools: list[Tool]) -> tuple[Any, list[Tool]]:
    """Return the choice, and the tools that it allows."""
    match choice:
        case None:
            return None, tools
        case str() if choice in _WORDS:
            return choice, tools
        case {"type": "function" | "custom" as kind, "name": str(name)}:
            return {"type": kind, kind: {"name": name}}, tools
        case {"type": "allowed_tools", "tools": list(allowed)}:
            names = {tool.get("name") for tool in allowed if isinstance(tool, dict)}
            chosen = [tool for tool in tools if tool[tool["type"]]["name"] in names]
            return choice.get("mode") or "auto", chosen
    raise CannotExpress("This provider does not support this tool_choice.", param="tool_choice")
