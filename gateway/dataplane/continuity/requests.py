"""Put the reasoning that ids of tool calls carry back into a conversation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.ids import Thought

Message = dict[str, Any]
Thoughts = Mapping[str, Thought | None]  # by the client's ids; None for those that don't open
# Kinds of blocks whose order among calls matters.
_ORDERED: Final = frozenset({"reasoning", "message"})


def result_note(identity: Any) -> str:
    """Return what stands before the pictures and files in a result, which follow it."""
    return f"Result of the tool call {identity}:"


def provider_ids(thoughts: Thoughts) -> dict[str, str]:
    """Return the ids that the provider knows, by the client's."""
    return {
        identity: thought.call_id if thought is not None else ids.shortened(identity)
        for identity, thought in thoughts.items()
    }


def with_thoughts(body: Message, thoughts: Thoughts) -> tuple[Message, bool]:
    """Copy a neutral body, with what its ids carry in place of them.

    What the caller brought back itself stays as it is.

    Returns:
        The body, and whether any reasoning is lost.
    """
    names = provider_ids(thoughts)
    is_lost = False
    messages = []
    for message in body.get("messages") or ():
        if isinstance(message, dict) and isinstance(message.get("tool_calls"), list):
            message, lost = _restored(message, thoughts, names)
            is_lost = is_lost or lost
        elif isinstance(message, dict):
            message = _renamed(message, names)
        messages.append(message)
    return {**body, "messages": messages}, is_lost


def _restored(
    message: Message, thoughts: Thoughts, names: Mapping[str, str]
) -> tuple[Message, bool]:
    calls: list[Any] = []
    blocks: list[Any] = []
    texts: list[str] = []
    known = [thoughts[call["id"]] for call in message["tool_calls"] if _id_in(call) in thoughts]
    orders = any(
        block.get("type") in _ORDERED for thought in known if thought for block in thought.blocks
    )
    for call in message["tool_calls"]:
        identity = _id_in(call)
        thought = thoughts.get(identity)
        if identity in names:
            call = {**call, "id": names[identity]}
        if thought is not None:
            blocks += thought.blocks
            texts.append(thought.text)
            if thought.extra and not call.get("extra_content"):
                call["extra_content"] = thought.extra
        if orders:
            blocks.append({"type": "call", "call_id": _id_in(call)})
        calls.append(call)
    restored = {**message, "tool_calls": calls}
    if blocks and not message.get("provider_blocks"):
        restored["provider_blocks"] = blocks
    if (text := "".join(texts)) and not message.get("reasoning_content"):
        restored["reasoning_content"] = text
    return restored, any(_is_lost(thought, message) for thought in known)


def _is_lost(thought: Thought | None, message: Message) -> bool:
    """Tell whether reasoning comes back neither with an id nor with its message."""
    if thought is None:
        return not (message.get("provider_blocks") or message.get("reasoning_content"))
    return bool(thought.lost) and not message.get(thought.lost)


def _renamed(message: Message, names: Mapping[str, str]) -> Message:
    """Return the result of a call, or what was shown in one, under the provider's id."""
    if (identity := _text(message.get("tool_call_id"))) in names:
        return {**message, "tool_call_id": names[identity]}
    if message.get("role") != "user" or not isinstance(parts := message.get("content"), list):
        return message
    notes = {result_note(identity): result_note(name) for identity, name in names.items()}
    return {**message, "content": [_with_note(part, notes) for part in parts]}


def _with_note(part: Any, notes: Mapping[str, str]) -> Any:
    text = _text_in(part)
    return {**part, "text": notes[text]} if text in notes else part


def _text_in(part: Any) -> str:
    return _text(part.get("text")) if isinstance(part, dict) else ""


def _id_in(call: Any) -> str:
    return _text(call.get("id")) if isinstance(call, dict) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
