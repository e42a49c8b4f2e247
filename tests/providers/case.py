"""A case of tests/providers/cases/<slug>.json: what is asked, what the provider answers, what must
come of it.

    {"shows": "...", "operation": "chat.completions", "model": "...", "stream": false,
     "body": {...}, "upload": {...},
     "facts": {...}, "access": {"values", "model_values", "base_url"}, "replies": [...],
     "expect": {...}, "sdk": "chat"}

operation: one of the endpoint, or "list_models" or "check" of the adapter. replies: one per call,
in order: {"status", "headers"} and a body as "json", "text", "hex", or "events" (texts as they are,
anything else one event of that JSON); or {"recorded": name, "status", "as_events"} for one of the
recordings. recorded: a recording (or a list, one per call) instead of replies. What the recording
knows of its request need not be said again: model, stream, operation, and the body where it is in
OpenAI's format. {"recorded": ..., "not_supported": reason} says why there is no case. source: the
public reports that the case was made after. sdk: the case is played through the gateway with the
official SDKs as well. expect: see tests/providers/comparing.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from providers.declaration import registry
from providers.declaration.spec import (
    Access,
    ModelFacts,
    Operation,
    Provider,
    Reply,
    Request,
    Upload,
)
from tests.providers import recordings

FOLDER = Path(__file__).parent / "cases"
VALUES = {"api_key": "test-key-0123456789"}
KEYS = {
    *(
        "shows",
        "operation",
        "model",
        "stream",
        "body",
        "upload",
        "facts",
        "access",
        "replies",
        "recorded",
        "expect",
        "sdk",
    ),
    *("not_supported", "reason", "source"),
}
QUESTION = {"messages": [{"role": "user", "content": "as recorded"}]}
VOICE = {"filename": "speech.wav", "content_type": "audio/wav", "data": "RIFF....WAVE"}
# Ends of the paths of recorded requests whose bodies are in our neutral form.
PATHS = {f"/{operation.path}": operation.value for operation in Operation} | {
    "/models": "list_models"
}


@dataclass(frozen=True)
class Case:
    slug: str
    told: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.slug}: {self.told.get('shows') or ', '.join(self.recorded)}"

    @property
    def provider(self) -> Provider:
        """Loaded alone: a mistake in another provider's files is that provider's."""
        return registry.load(self.slug)

    @property
    def expect(self) -> Mapping[str, Any]:
        return self.told["expect"]  # type: ignore[no-any-return]

    @property
    def recorded(self) -> list[str]:
        """The recordings that this case is about."""
        named = self.told.get("recorded", ())
        whole = [named] if isinstance(named, str) else list(named)
        return whole + [
            reply["recorded"] for reply in self.told.get("replies", ()) if "recorded" in reply
        ]

    @cached_property
    def asked(self) -> dict[str, Any]:
        """The recorded request; empty where nothing is known of it."""
        found = [
            recordings.load(name)[0].get("request") or {}
            for name in self.recorded
            if recordings.present()
        ]
        return found[0] if found else {}

    @cached_property
    def operation(self) -> str:
        path = urlsplit(self.asked.get("url") or "").path if "operation" not in self.told else ""
        ends = [
            path.endswith(end) and operation
            for end, operation in sorted(PATHS.items(), key=lambda item: -len(item[0]))
        ]
        return str(self.told.get("operation") or next(filter(None, ends), Operation.CHAT))

    @property
    def model(self) -> str:
        body = self.asked.get("body") if "model" not in self.told else None
        return str(
            self.told.get("model") or (body.get("model") if isinstance(body, dict) else None) or "m"
        )

    @property
    def stream(self) -> bool:
        return bool(self.told.get("stream", any(map(recordings.is_stream, self.recorded))))

    @property
    def body(self) -> dict[str, Any]:
        if "body" in self.told or not self.recorded:
            return self.told.get("body", {})  # type: ignore[no-any-return]
        recorded = self.asked.get("body")
        if urlsplit(self.asked.get("url") or "").path.endswith(tuple(PATHS)) and isinstance(
            recorded, dict
        ):
            return {
                name: value for name, value in recorded.items() if name not in ("model", "stream")
            }
        return QUESTION if self.operation == Operation.CHAT else {}

    @property
    def upload(self) -> Upload | None:
        heard = self.operation in (Operation.TRANSCRIPTION, Operation.TRANSLATION)
        told = self.told.get("upload") or (VOICE if heard and self.recorded else None)
        return (
            Upload(told["filename"], told["content_type"], told["data"].encode()) if told else None
        )

    @property
    def request(self) -> Request:
        return Request(
            Operation(self.operation), self.model, self.body, stream=self.stream, upload=self.upload
        )

    @property
    def facts(self) -> ModelFacts:
        told = dict(self.told.get("facts", {}))
        return ModelFacts(**{**told, "features": frozenset(told.get("features", ()))})

    @property
    def access(self) -> Access:
        told = self.told.get("access", {})
        values = told.get("values", VALUES)
        base_of = self.provider.base_url_of
        base = told.get("base_url") or (base_of(values) if base_of else "")
        return Access(values, base, told.get("model_values", {}))

    def replies(self, frame: Callable[[bytes], bytes] = bytes) -> list[Reply]:
        """frame: changes how event streams look."""
        named = self.told.get("recorded", ())
        told = [
            {"recorded": name} for name in ([named] if isinstance(named, str) else named)
        ] or self.told.get("replies", ())
        return [reply_of(reply, frame) for reply in told]


def reply_of(told: Mapping[str, Any], frame: Callable[[bytes], bytes] = bytes) -> Reply:
    if "recorded" in told:
        reply = recordings.load(
            **{
                "name": told["recorded"],
                **{key: told[key] for key in ("status", "as_events") if key in told},
            }
        )[1]
    elif "events" in told:
        reply = Reply(
            told.get("status", 200),
            {"content-type": "text/event-stream"} | told.get("headers", {}),
            events(told["events"]),
        )
    else:
        body = told["text"].encode() if "text" in told else json.dumps(told.get("json")).encode()
        body = bytes.fromhex(told["hex"]) if "hex" in told else body
        reply = Reply(
            told.get("status", 200), told.get("headers", {"content-type": "application/json"}), body
        )
    if "text/event-stream" in reply.headers.get("content-type", ""):
        reply.body = frame(reply.body)
    return reply


def events(told: list[Any]) -> bytes:
    return "".join(
        event if isinstance(event, str) else f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
        for event in told
    ).encode()


def read() -> list[Case]:
    return [
        Case(path.stem, told)
        for path in sorted(FOLDER.glob("*.json"))
        for told in json.loads(path.read_text())
    ]


ALL = read()
PLAYED = [case for case in ALL if "not_supported" not in case.told]


def parameters(cases: list[Case]) -> list[Any]:
    """For pytest.mark.parametrize; what needs recordings is skipped where there are none."""
    absent = pytest.mark.skipif(not recordings.present(), reason=recordings.ABSENT)
    return [
        pytest.param(case, id=str(case), marks=[absent] if case.recorded else []) for case in cases
    ]
