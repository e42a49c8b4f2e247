"""Contents of input items in the neutral form."""

from __future__ import annotations

from typing import Any, Final

from gateway.dataplane.doors.lacking import required, wrong_type
from providers.declaration.errors import CannotExpress

Part = dict[str, Any]
CONTENT: Final = "a text or a list of parts"
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
# Where the content of a part is, by its type.
_HELD: Final = {
    **dict.fromkeys(_TEXTS, "text"),
    "refusal": "refusal",
    "input_audio": "input_audio",
}


def parts_of(content: Any, where: str) -> list[Part]:
    """Convert the content of a message or the output of a tool: a text, or a list of parts.

    Raises:
        CannotExpress: The neutral form lacks a part.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise wrong_type(content, CONTENT, where)
    return [_part(part, f"{where}[{number}]") for number, part in enumerate(content)]


def text_of(content: Any, where: str) -> str:
    """Return the text of a content that may hold nothing else."""
    parts = parts_of(content, where)
    for number, part in enumerate(parts):
        if part["type"] != "text":
            place = f"{where}[{number}]"
            raise CannotExpress(f"{place} must be a text.", param=place)
    return "".join(part["text"] for part in parts)


def joined(parts: list[Part]) -> str | list[Part]:
    """Return parts, or one text: many servers know nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, where: str) -> Part:
    match part:
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "input_image"}:
            return _image(part, where)
        case {"type": "input_file"}:
            return _file(part, where)
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return {"type": "input_audio", "input_audio": audio}
    raise _unknown(part, where)


def _unknown(part: Any, where: str) -> CannotExpress:
    if not isinstance(part, dict):
        return wrong_type(part, "an object", where)
    kind = part.get("type")
    if not isinstance(kind, str):
        return required(part, "type", str, "a type, such as input_text", where)
    if name := _HELD.get(kind):
        return required(part, name, dict if name == "input_audio" else str, "its content", where)
    message = f"This provider does not support content of type {kind[:60]!r} ({where})."
    return CannotExpress(message, param=where)


def _image(part: Part, where: str) -> Part:
    url = part.get("image_url")
    if not isinstance(url, str) or not url:
        if not part.get("file_id"):
            raise required(part, "image_url", str, "an address, or the data", where)
        raise _needs_data("image_url", "file_id", where)
    image = {"url": url}
    if isinstance(part.get("detail"), str) and part["detail"] != "auto":
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Part, where: str) -> Part:
    data = part.get("file_data")
    if not isinstance(data, str) or not data:
        sent = next((name for name in ("file_url", "file_id") if part.get(name)), None)
        if sent is None:
            raise required(part, "file_data", str, "the data", where)
        raise _needs_data("file_data", sent, where)
    name = part.get("filename")
    file = {"filename": name if isinstance(name, str) and name else "file.pdf", "file_data": data}
    return {"type": "file", "file": file}


def _needs_data(needed: str, sent: str, where: str) -> CannotExpress:
    message = (
        f"This provider cannot fetch what {sent} names. Send {needed} with the data ({where})."
    )
    return CannotExpress(message, param=f"{where}.{sent}")
