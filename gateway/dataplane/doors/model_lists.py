"""The list of models, in the form that a door's clients expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import orjson

from gateway.dataplane.doors.interface import Door
from gateway.dataplane.doors.openai_models import OpenAIModels, created
from gateway.dataplane.errors import bad_request
from models_catalog.resolution.entries import Entry
from providers.declaration.spec import ModelType

Object = dict[str, Any]
PAGE: Final = 20  # models, as at Anthropic
MOST: Final = 1000


class ModelList(Protocol):
    """Writes models in one form."""

    def object(self, entry: Entry) -> Object:
        """Describe a model."""

    def page(self, entries: Sequence[Entry], query: str) -> bytes:
        """Return the body of a list.

        Raises:
            Refusal: 400 for a bad query.
        """


class AnthropicModels:
    """Anthropic's list, which has pages and only models that chat."""

    def object(self, entry: Entry) -> Object:
        described: Object = {
            "type": "model",
            "id": entry.id,
            "display_name": entry.label or entry.model,
            "created_at": f"{created(entry):%Y-%m-%dT%H:%M:%SZ}",
            "lifecycle": _lifecycle(entry),
            "max_input_tokens": entry.context_window,
            "max_tokens": entry.max_output,
        }
        if entry.retired is not None:
            described["retires_at"] = f"{entry.retired.isoformat()}T00:00:00Z"
        return described

    def page(self, entries: Sequence[Entry], query: str) -> bytes:
        asked = dict(parse_qsl(query, keep_blank_values=True))
        limit = _limit(asked)
        chats = [entry for entry in entries if entry.type in (ModelType.REASONING, None)]
        rest, backwards = _part(chats, asked)
        page = rest[-limit:] if backwards else rest[:limit]
        return orjson.dumps(
            {
                "data": [self.object(entry) for entry in page],
                "has_more": len(rest) > len(page),
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )


def _lifecycle(entry: Entry) -> str:
    if entry.retired is None:
        return "active"
    return "retired" if entry.is_retired else "deprecated"


def _limit(asked: Mapping[str, str]) -> int:
    text = asked.get("limit", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST):
        raise bad_request(f"limit must be a whole number from 1 to {MOST}.", "limit")
    return int(text)


def _part(entries: list[Entry], asked: Mapping[str, str]) -> tuple[list[Entry], bool]:
    """Return the models after or before the one that the query names, and whether before."""
    ids = [entry.id for entry in entries]
    for name in ("after_id", "before_id"):
        identity = asked.get(name)
        if not identity:
            continue
        if identity not in ids:
            raise bad_request(f"{name} is not the ID of a model in this list.", name)
        number = ids.index(identity)
        return (entries[number + 1 :], False) if name == "after_id" else (entries[:number], True)
    return entries, False


_LISTS: Final[Mapping[str, ModelList]] = {"messages": AnthropicModels()}
_DEFAULT: Final[ModelList] = OpenAIModels()


def list_of(door: Door) -> ModelList:
    return _LISTS.get(door.name, _DEFAULT)
