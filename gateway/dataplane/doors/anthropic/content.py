"""Messages and content blocks of Anthropic's format in the neutral form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.dataplane.continuity.requests import result_note
from gateway.dataplane.doors.lacking import required, text_in, wrong_type
from providers.declaration.errors import CannotExpress
from providers.wire.anthropic.blocks import REPLAYED
from providers.wire.anthropic.signatures import is_own_thought
from providers.wire.repairs import exact_json

Block = dict[str, Any]
Message = dict[str, Any]

_CONTENT: Final = "a text or a list of blocks"
# Claude Code's first block of the system prompt; it differs in each call and spoils prompt caches.
_BILLING: Final = "x-anthropic-billing-header:"


def system_of(system: Any) -> list[Message]:
    """Return the system message; none if there is no text."""
    blocks = _blocks(system, "system")
    for number, block in enumerate(blocks):
        if block.get("type") != "text":
            raise _unsupported(block, f"system[{number}]")
    texts = [_text(block, f"system[{number}]") for number, block in enumerate(blocks)]
    text = "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))
    return [{"role": "system", "content": text}] if text else []


def messages_of(messages: Iterable[Any]) -> list[Message]:
    """Convert all turns.

    Raises:
        CannotExpress: The neutral form lacks a block.
    """
    neutral: list[Message] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if message.get("content") is None:
            raise required(message, "content", (str, list), _CONTENT, where)
        match message.get("role"):
            case "user":
                neutral += _user(message, where)
            case "assistant":
                neutral += _assistant(message, where)
            case "system":
                neutral += system_of(message.get("content"))
            case _:
                raise CannotExpress("A message's role is user or assistant.", param=where)
    return neutral


def _user(message: Message, where: str) -> list[Message]:
    """Convert a user's turn: results of tools are messages of their own, and come first."""
    results: list[Message] = []
    parts: list[Block] = []
    shown: list[Block] = []  # by tools, whose results are texts in the neutral form
    for number, block in enumerate(_blocks(message.get("content"), f"{where}.content")):
        place = f"{where}.content[{number}]"
        if block.get("type") == "tool_result":
            result, media = _tool_result(block, place)
            results.append(result)
            shown += media
        else:
            parts += _parts(block, place)
    parts = shown + parts
    return [*results, {"role": "user", "content": _joined(parts)}] if parts else results


def _tool_result(block: Block, where: str) -> tuple[Message, list[Block]]:
    """Return the tool's message, and its pictures and files for the user's message after it."""
    place = f"{where}.content"
    parts = [
        part
        for number, inner in enumerate(_blocks(block.get("content"), place))
        for part in _parts(inner, f"{place}[{number}]")
    ]
    text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
    media = [part for part in parts if part["type"] != "text"]
    identity = text_in(block, "tool_use_id", "the ID of the tool's call", where)
    if media:
        text = text or "The result follows in the next message."
        media.insert(0, {"type": "text", "text": result_note(identity)})
    if block.get("is_error") is True:
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": identity, "content": text}, media


def _assistant(message: Message, where: str) -> list[Message]:
    texts: list[str] = []
    thoughts: list[str] = []
    signed: list[Block] = []
    calls: list[Block] = []
    for number, block in enumerate(_blocks(message.get("content"), f"{where}.content")):
        place = f"{where}.content[{number}]"
        if is_own_thought(block):
            thoughts.append(str(block.get("thinking") or ""))
        elif block.get("type") in REPLAYED:
            signed.append(block)
        elif block.get("type") == "tool_use":
            calls.append(_tool_call(block, place))
        elif block.get("type") == "text":
            texts.append(_text(block, place))
        else:
            raise _unsupported(block, place)
    neutral: Message = {"role": "assistant", "content": "".join(texts) or None}
    if "".join(thoughts):
        neutral["reasoning_content"] = "".join(thoughts)
    if signed:
        neutral["provider_blocks"] = signed
    if calls:
        neutral["tool_calls"] = calls
    elif not texts:
        neutral["content"] = ""
    return [neutral] if texts or calls or thoughts else []


def _tool_call(block: Block, where: str) -> Block:
    arguments = exact_json.dumps(block.get("input") or {}).decode()
    name = text_in(block, "name", "the tool's name", where)
    identity = text_in(block, "id", "the ID of the call", where)
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _parts(block: Block, where: str) -> list[Block]:
    """Convert a block of a user's turn or a tool's result."""
    match block.get("type"):
        case "text":
            text = _text(block, where)
            return [{"type": "text", "text": text}] if text else []
        case "image":
            return [{"type": "image_url", "image_url": {"url": _url(block, where)}}]
        case "document":
            return _document(block, where)
        case "search_result":
            place = f"{where}.content"
            texts = [
                _text(inner, f"{place}[{number}]")
                for number, inner in enumerate(_blocks(block.get("content"), place))
            ]
            heading = [str(block.get(name) or "") for name in ("title", "source")]
            return [{"type": "text", "text": "\n\n".join(filter(None, heading + texts))}]
    raise _unsupported(block, where)


def _document(block: Block, where: str) -> list[Block]:
    """Convert a document: text as text with its title, a file as a file."""
    if isinstance(cites := block.get("citations"), dict) and cites.get("enabled"):
        message = "This provider cannot cite documents. Leave citations out."
        raise CannotExpress(message, param=f"{where}.citations")
    heading = [str(block.get(name) or "") for name in ("title", "context")]
    source = _source(block, where)
    match source.get("type"):
        case "text":
            text = "\n\n".join(filter(None, [*heading, str(source.get("data") or "")]))
            return [{"type": "text", "text": text}]
        case "content":
            place = f"{where}.source.content"
            inner = [
                part
                for number, one in enumerate(_blocks(source.get("content"), place))
                for part in _parts(one, f"{place}[{number}]")
            ]
            return [{"type": "text", "text": text} for text in heading if text] + inner
        case "base64":
            name = heading[0] or "document.pdf"
            file = {"filename": name, "file_data": _url(block, where)}
            notes = [{"type": "text", "text": heading[1]}] if heading[1] else []
            return [*notes, {"type": "file", "file": file}]
    raise _unknown_source(source, where)


def _url(block: Block, where: str) -> str:
    """Return the URL of an image or a file, with the data in it if it was sent along."""
    source, place = _source(block, where), f"{where}.source"
    match source.get("type"):
        case "base64":
            media_type = text_in(source, "media_type", "the type of the data", place)
            return f"data:{media_type};base64,{text_in(source, 'data', 'the data', place)}"
        case "url" if block["type"] == "image":
            return text_in(source, "url", "the address of the image", place)
    raise _unknown_source(source, where)


def _source(block: Block, where: str) -> Block:
    source = block.get("source")
    if not isinstance(source, dict):
        raise required(block, "source", dict, "an object with the data", where)
    return source


def _joined(parts: list[Block]) -> str | list[Block]:
    """Return parts, or one text: many servers know nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _blocks(content: Any, where: str) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        for number, block in enumerate(content):
            if not isinstance(block, dict):
                raise wrong_type(block, "an object", f"{where}[{number}]")
        return content
    raise wrong_type(content, _CONTENT, where)


def _text(block: Block, where: str) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise required(block, "text", str, "a text", where)
    return text


def _unsupported(block: Block, where: str) -> CannotExpress:
    if not isinstance(block.get("type"), str):
        return required(block, "type", str, "a type, such as text", where)
    kind = block["type"][:60]
    return CannotExpress(
        f"This provider does not support content of type {kind!r} ({where}).", param=where
    )


def _unknown_source(source: Block, where: str) -> CannotExpress:
    if not isinstance(source.get("type"), str):
        return required(source, "type", str, "a type, such as base64", f"{where}.source")
    kind = source["type"][:60]
    message = f"This provider does not support a source of type {kind!r} ({where}.source)."
    return CannotExpress(message, param=f"{where}.source")
