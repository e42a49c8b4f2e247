"""Input items in the neutral form: messages, with the calls of tools and reasoning inside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dataplane.continuity.requests import result_note
from gateway.dataplane.doors.interface import NotKept
from gateway.dataplane.doors.lacking import required, text_in
from gateway.dataplane.doors.openai_responses import kept
from gateway.dataplane.doors.openai_responses.content import CONTENT, joined, parts_of, text_of
from gateway.dataplane.doors.openai_responses.namespaces import called_name
from providers.declaration.errors import CannotExpress
from tenants.crypto.keys import Seal

Item = dict[str, Any]
Message = dict[str, Any]
_ROLES: Final = frozenset({"user", "system", "developer"})
# What OpenAI's own tools did. Another provider has not seen it, and gets the answer it led to.
_SKIPPED: Final = frozenset({"web_search_call", "file_search_call", "code_interpreter_call"})
ADDED_TOOLS: Final = "additional_tools"  # tools that came later than others


_NOT_KEPT: Final = {
    NotKept.OFF: (
        "This item is not stored here: send the item itself instead of its id, which most "
        "clients do with `store: false`"
    ),
    NotKept.UNKNOWN: (
        "This item was not found: it may have expired, been deleted, or been made with "
        "`store: false`. Send the item itself instead of its id"
    ),
}


def messages_of(given: Any, seal: Seal, not_kept: NotKept = NotKept.OFF) -> list[Message]:
    """Convert the input of a request.

    Raises:
        CannotExpress: The neutral form lacks an item, or an item refers to what is not there.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}] if given else []
    conversation = _Conversation(given or (), seal, not_kept)
    for number, item in enumerate(given or ()):
        conversation.add(item, f"input[{number}]")
    return conversation.messages()


class _Conversation:
    """Collects messages. What the assistant says and does in a row is one message."""

    def __init__(self, items: Any, seal: Seal, not_kept: NotKept) -> None:
        self._seal = seal
        self._not_kept = _NOT_KEPT.get(not_kept, _NOT_KEPT[NotKept.UNKNOWN])
        self._messages: list[Message] = []
        self._turn: Message | None = None  # the assistant's message that is being written
        self._results: dict[str, list[Message]] = {}  # by the id of their call
        self._carried: dict[str, Item] = {}
        for item in items:
            if kept.is_ours(item):
                self._carried |= kept.carried_by(item.get("id"), seal)

    def add(self, item: Item, where: str) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        if not isinstance(kind, str):
            raise required(item, "type", str, "a type, such as message", where)
        match kind:
            case "message":
                self._message(item, where)
            case "function_call" | "custom_tool_call":
                self._call(item, where)
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, where)
            case "reasoning":
                self._reasoning(item, where)
            case "item_reference":
                self._reference(item, where)
            case _ if kind not in _SKIPPED and kind != ADDED_TOOLS:
                message = f"This provider does not support items of type {kind[:60]!r}"
                raise CannotExpress(f"{message} ({where}).", param=where)

    def messages(self) -> list[Message]:
        """Return the messages, each result right after the calls it belongs to."""
        ordered: list[Message] = []
        for message in self._messages:
            if message["role"] == "assistant":
                message.setdefault("content", None if message.get("tool_calls") else "")
            ordered.append(message)
            for call in message.get("tool_calls") or ():
                ordered += self._results.pop(call["id"], ())
        return [message for message in ordered if not _is_empty(message)]

    def _message(self, item: Item, where: str) -> None:
        role = text_in(item, "role", "a role, such as user", where)
        place = f"{where}.content"
        if role == "assistant":
            turn, text = self._assistant(), text_of(item.get("content"), place)
            turn["content"] = "\n\n".join(filter(None, (turn.get("content"), text)))
        elif role in _ROLES:
            self._turn = None
            if item.get("content") is None:
                raise required(item, "content", (str, list), CONTENT, where)
            content = joined(parts_of(item.get("content"), place))
            self._messages.append({"role": role, "content": content})
        else:
            message = "A message's role is user, assistant, system or developer"
            raise CannotExpress(f"{message} ({where}).", param=f"{where}.role")

    def _call(self, item: Item, where: str) -> None:
        kind, field = (
            ("function", "arguments") if item["type"] == "function_call" else ("custom", "input")
        )
        identity, text = text_in(item, "call_id", "the ID of the call", where), item.get(field)
        text_in(item, "name", "the tool's name", where)
        name = called_name(item)
        called = {"name": name, field: text if isinstance(text, str) else ""}
        calls = self._assistant().setdefault("tool_calls", [])
        calls.append({"id": identity, "type": kind, kind: called})
        self._results.setdefault(identity, [])

    def _result(self, item: Item, where: str) -> None:
        self._turn = None
        identity = text_in(item, "call_id", "the ID of the call", where)
        if identity not in self._results:
            message = "There is no function_call with this call_id before it in input. Send it too"
            raise CannotExpress(f"{message} ({where}).", param=f"{where}.call_id")
        if "output" not in item:
            raise required(item, "output", (str, list), CONTENT, where)
        parts = parts_of(item["output"], f"{where}.output")
        media = [part for part in parts if part["type"] != "text"]
        text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
        if media:
            text = text or "The result follows in the next message."
            media.insert(0, {"type": "text", "text": result_note(identity)})
            self._messages.append({"role": "user", "content": media})
        self._results[identity].append({"role": "tool", "tool_call_id": identity, "content": text})

    def _reasoning(self, item: Item, where: str) -> None:
        """Add what the model thought; what another installation or provider encrypted is lost."""
        own = kept.opened(item.get("encrypted_content"), self._seal)
        own = own if isinstance(own, dict) else {}
        thought = own.get("thought") or "\n\n".join(
            text
            for name in ("summary", "content")
            if (text := text_of(item.get(name), f"{where}.{name}"))
        )
        if thought:
            turn = self._assistant()
            thoughts = (turn.get("reasoning_content"), thought)
            turn["reasoning_content"] = "\n\n".join(filter(None, thoughts))
        if blocks := own.get("blocks"):
            self._assistant().setdefault("provider_blocks", []).extend(blocks)

    def _reference(self, item: Item, where: str) -> None:
        identity = text_in(item, "id", "the ID of an item", where)
        if identity in self._carried:
            self.add(self._carried[identity], where)
        elif not kept.carried_by(identity, self._seal):
            raise CannotExpress(f"{self._not_kept} ({where}).", param=f"{where}.id")

    def _assistant(self) -> Message:
        if self._turn is None:
            self._turn = {"role": "assistant"}
            self._messages.append(self._turn)
        return self._turn


def _is_empty(message: Mapping[str, Any]) -> bool:
    return message["role"] == "assistant" and not any(
        message.get(name) for name in ("content", "tool_calls")
    )
