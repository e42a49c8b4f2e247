"""Repairs of chat requests that most servers would refuse. Pure.

Clients replay what models wrote, also what broke off, and cannot mend it themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from providers.declaration.spec import Operation, Request

_ABOUT_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")
_JPG: Final = "data:image/jpg"  # a name that many programs use and some servers refuse
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
UNLIMITED: Final = -1  # LM Studio's and llama.cpp's word for no limit

Message = dict[str, Any]


def repaired(request: Request, *, unlimited: bool = False) -> Request:
    """Return the request repaired, or itself if nothing is wrong with it.

    Args:
        unlimited: whether the server knows -1 as a limit of tokens; for others, it is left out.
    """
    if request.operation is not Operation.CHAT:
        return request
    body = request.body
    odd: list[str] = []
    if not unlimited:
        odd += [name for name in _LIMITS if name in body and body[name] == UNLIMITED]
    if "tools" in body and not body["tools"]:
        odd += _ABOUT_TOOLS
    if odd:
        body = {name: value for name, value in body.items() if name not in odd}
    messages = body.get("messages")
    if isinstance(messages, list):
        mended = repaired_messages(messages)
        if mended is not messages:
            body = {**body, "messages": mended}
    return request if body is request.body else replace(request, body=body)


def repaired_messages(messages: list[Any]) -> list[Any]:
    """Return the messages repaired: the same list if nothing is wrong."""
    if not any(map(_may_be_odd, messages)):
        return messages
    calls = _Calls()
    mended = [_repaired_message(message, number, calls) for number, message in enumerate(messages)]
    same = all(new is old for new, old in zip(mended, messages, strict=True))
    return messages if same else mended


def _may_be_odd(message: Any) -> bool:
    return isinstance(message, dict) and (
        not isinstance(message.get("content"), str)
        or "tool_calls" in message
        or message.get("role") == "tool"
    )


def _repaired_message(message: Any, number: int, calls: _Calls) -> Any:
    if not isinstance(message, dict):
        return message
    if isinstance(message.get("content"), list):
        parts = [_repaired_part(part) for part in message["content"]]
        if any(new is not old for new, old in zip(parts, message["content"], strict=True)):
            message = {**message, "content": parts}
    if isinstance(message.get("tool_calls"), list) and message["tool_calls"]:
        return calls.asked(message, number)
    return calls.answered(message) if message.get("role") == "tool" else message


def _repaired_part(part: Any) -> Any:
    image = part.get("image_url") if isinstance(part, dict) else None
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url.startswith(_JPG):
        return part
    url = "data:image/jpeg" + url[len(_JPG) :]
    return {**part, "image_url": {**image, "url": url} if isinstance(image, dict) else url}


class _Calls:
    """The calls of tools in a conversation, whose ids pair them with their results."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._open: dict[str, list[str]] = defaultdict(list)  # id as written -> ids to answer

    def asked(self, message: Message, number: int) -> Message:
        """Give each call of a message an id of its own and arguments that are an object."""
        self._open.clear()
        calls = [
            self._asked(call, f"call_{number}_{position}")
            for position, call in enumerate(message["tool_calls"])
        ]
        if all(new is old for new, old in zip(calls, message["tool_calls"], strict=True)):
            return message
        return {**message, "tool_calls": calls}

    def _asked(self, call: Any, fallback: str) -> Any:
        if not isinstance(call, dict):
            return call
        written = call.get("id")
        identity = written if isinstance(written, str) and written else fallback
        if identity in self._ids:
            identity = fallback
        while identity in self._ids:
            identity += "_"
        self._ids.add(identity)
        self._open[_key(written)].append(identity)
        if identity != written:
            call = {**call, "id": identity}
        function = call.get("function")
        if not isinstance(function, dict) or "arguments" not in function:
            return call
        arguments = object_text(function["arguments"])
        if arguments == function["arguments"]:
            return call
        return {**call, "function": {**function, "arguments": arguments}}

    def answered(self, message: Message) -> Message:
        """Give a result the id of the call it belongs to."""
        written = message.get("tool_call_id")
        waiting = self._open.get(_key(written)) or ([] if written else self._unanswered())
        identity = waiting.pop(0) if waiting else written
        return message if identity == written else {**message, "tool_call_id": identity}

    def _unanswered(self) -> list[str]:
        return next((ids for ids in self._open.values() if ids), [])


def _key(identity: Any) -> str:
    return identity if isinstance(identity, str) else ""


def object_text(arguments: Any) -> str:
    """Return a call's arguments as the text of a JSON object.

    What broke off, or is not an object, is kept as the value of `arguments`.
    """
    if isinstance(arguments, str):
        if arguments.strip() in ("", "null"):
            return "{}"
        value = _parsed(arguments)
        if isinstance(value, dict):
            return arguments
        if isinstance(value, str) and isinstance(_parsed(value), dict):
            return value  # encoded twice
        arguments = arguments if value is None else value
    if not isinstance(arguments, Mapping):
        arguments = {} if arguments is None else {"arguments": arguments}
    return orjson.dumps(arguments).decode()


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
