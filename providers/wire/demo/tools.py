"""Which tool the demo calls, and with which arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from providers.declaration.errors import CannotExpress
from providers.wire.demo.schemas import instance_of
from providers.wire.demo.texts import text_in, words_in

_WORDS_OF_NAME: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])|[^\W\x00-\x7f]+")
_BEFORE_ARGUMENTS: Final = re.compile(r"[\s:(]*(?=\{)")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def chosen_call(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return name and JSON arguments of the tool that comes next; None for an answer in words.

    Required arguments that nobody typed are made up, optional ones left out: an invented folder or
    time limit would make the tool fail.

    A forced tool is called always. Otherwise tools are called in the order in which the last
    message of the user names them, one in each turn, with the JSON that follows the name, if any.
    If it names none, the tool whose name shares most words with it is called, once.

    Raises:
        CannotExpress: The forced tool is none of the request's, or its schema is too large.
    """
    tools, choice = _functions(body), body.get("tool_choice")
    if choice == "none" or not (tools or isinstance(choice, dict)):
        return None
    text, called = _last_request(body["messages"])
    named = list(_mentioned(text, tools))
    if isinstance(choice, dict):
        forced = _forced_name(choice)
        if forced not in tools:
            raise CannotExpress("tool_choice must name one of the tools.", param="tool_choice")
        typed = next((given for name, given in named if name == forced), {})
        return _call(tools, forced, typed)
    if len(called) < len(named):
        return _call(tools, *named[len(called)])
    if choice == "required":
        fresh = [name for name in tools if name not in called]
        return _call(tools, _likeliest(text, fresh) or (fresh or list(tools))[0], {})
    name = "" if called else _likeliest(text, list(tools))
    return _call(tools, name, {}) if name else None


def _functions(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    tools = body.get("tools")
    functions = [
        tool.get("function")
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and tool.get("type", "function") == "function"
    ]
    return {
        function["name"]: function
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]
    }


def _forced_name(choice: Mapping[str, Any]) -> str:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _last_request(messages: Sequence[Any]) -> tuple[str, list[str]]:
    """Return the last text of the user, and the tools called since."""
    called: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "user":
            return _unquoted(_last_text(message.get("content"))), called[::-1]
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            called.append(_forced_name(call) if isinstance(call, dict) else "")
    return "", called[::-1]


def _last_text(content: Any) -> str:
    """Return the last part with text: agents put their own remarks before what people type."""
    parts = content if isinstance(content, list) else []
    return next(filter(None, (text_in([part]) for part in reversed(parts))), text_in(content))


def _unquoted(text: str) -> str:
    """Return what people typed, if an agent made a JSON string of it."""
    typed = text.strip()
    if typed.startswith('"') and typed.endswith('"'):
        with suppress(ValueError):
            return str(json.loads(typed))
    return text


def _mentioned(text: str, names: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find names of tools in a text, each with the JSON object that follows it."""
    if not names:
        return
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")
    position = 0
    while found := pattern.search(text, position):
        position = found.end()
        given: dict[str, Any] = {}
        if before := _BEFORE_ARGUMENTS.match(text, position):
            with suppress(ValueError, RecursionError):
                given, position = _DECODER.raw_decode(text, before.end())
        yield found[0], given


def _likeliest(text: str, names: Sequence[str]) -> str:
    """Return the name that shares most words with a text; an only tool is meant in any case."""
    words = words_in(text)
    shared = {
        name: len(words & {word.lower() for word in _WORDS_OF_NAME.findall(name)}) for name in names
    }
    best = max(names, key=shared.__getitem__, default="")
    return best if len(names) == 1 or (best and shared[best]) else ""


def _call(
    tools: Mapping[str, Mapping[str, Any]], name: str, given: Mapping[str, Any]
) -> tuple[str, str]:
    schema = tools[name].get("parameters") or {"type": "object"}
    made_up = instance_of(schema, "tools", whole=False)
    arguments = {**made_up, **given} if isinstance(made_up, dict) else made_up
    return name, json.dumps(arguments, ensure_ascii=False)
