"""Tools and the choice of tools in the neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.dataplane.doors.lacking import required, wrong_type
from gateway.dataplane.doors.openai_responses.items import ADDED_TOOLS
from gateway.dataplane.doors.openai_responses.namespaces import Names, namespace_of
from providers.declaration.errors import CannotExpress

Tool = dict[str, Any]
# Tools of OpenAI that clients offer everyone: their models work without.
_DROPPED: Final = ("web_search", "tool_search", "image_generation")
_WORDS: Final = ("auto", "none", "required")


def tools_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tools` and what goes with them.

    Raises:
        CannotExpress: The neutral form lacks a tool.
    """
    names = names_of(body)
    converted = [
        _tool(tool, where) for tool, where in _offered(body, names) if not _is_dropped(tool)
    ]
    choice, converted = _chosen(body.get("tool_choice"), converted, names)
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


def names_of(body: Mapping[str, Any]) -> Names:
    """Return the names of a request's tools."""
    return Names([tool for tools, _where in _lists(body) for tool in tools])


def _offered(body: Mapping[str, Any], names: Names) -> Iterator[tuple[Any, str]]:
    """Yield each tool with its place, also those in namespaces, whose names are joined."""
    for tools, where in _lists(body):
        for number, tool in enumerate(tools):
            place = f"{where}[{number}]"
            if (namespace := namespace_of(tool)) is None:
                yield tool, place
                continue
            inside = f"{place}.tools"
            for at, inner in enumerate(_list(tool, inside)):
                yield _named(inner, namespace, names), f"{inside}[{at}]"


def _named(tool: Any, namespace: str, names: Names) -> Any:
    name = tool.get("name") if isinstance(tool, dict) else None
    return {**tool, "name": names.joined(namespace, name)} if isinstance(name, str) else tool


def _lists(body: Mapping[str, Any]) -> Iterator[tuple[list[Any], str]]:
    """Yield the lists of tools with their places: the request's, and those in its input."""
    given = body.get("input")
    holders = [(body, "tools")] + [
        (item, f"input[{number}].tools")
        for number, item in enumerate(given if isinstance(given, list) else ())
        if item.get("type") == ADDED_TOOLS
    ]
    for holder, where in holders:
        yield _list(holder, where), where


def _list(holder: Mapping[str, Any], where: str) -> list[Any]:
    tools = holder.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise wrong_type(tools, "a list", where)
    return tools or []


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
            raise required(tool, "name", str, "the tool's name", where)
    if not isinstance(tool, dict):
        raise wrong_type(tool, "an object", where)
    if not isinstance(tool.get("type"), str):
        raise required(tool, "type", str, "a type, such as function", where)
    kind = tool["type"][:60]
    message = f"This provider does not have OpenAI's tool of type {kind!r}. Leave it out ({where})."
    raise CannotExpress(message, param=where)


def _chosen(choice: Any, tools: list[Tool], names: Names) -> tuple[Any, list[Tool]]:
    """Return the choice, and the tools that it allows."""
    match choice:
        case None:
            return None, tools
        case str() if choice in _WORDS:
            return choice, tools
        case {"type": "function" | "custom" as kind, "name": str()}:
            return {"type": kind, kind: {"name": _asked_name(choice, names)}}, tools
        case {"type": "allowed_tools", "tools": list(allowed)}:
            asked = [_asked_name(tool, names) for tool in allowed if isinstance(tool, dict)]
            chosen = [tool for tool in tools if tool[tool["type"]]["name"] in asked]
            return choice.get("mode") or "auto", chosen
    raise CannotExpress("This provider does not support this tool_choice.", param="tool_choice")


def _asked_name(tool: Mapping[str, Any], names: Names) -> Any:
    namespace, name = tool.get("namespace"), tool.get("name")
    if isinstance(namespace, str) and isinstance(name, str):
        return names.joined(namespace, name)
    return name
