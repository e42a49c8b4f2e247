"""The real gateway with the cases of all providers: a workspace for each account that a case needs,
the playback server behind.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from gateway.dataplane.continuity.ids import LONGEST, MARK
from gateway.dataplane.errors import from_provider
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Call, Frame, Operation, Upload
from providers.operations.table import OPERATIONS
from tests.fakes.playback import Playback, Scene
from tests.fakes.provider import Running
from tests.gateway.conftest import Hub, running_hub
from tests.pairs import pair
from tests.providers import comparing
from tests.providers.case import Case
from tests.providers.driving import Outcome
from tests.providers.wire.test_contract import play

HIDDEN = {
    "calls",
    "usage",
    "usage_only",
    "untouched",
    "output_characters",
    "content_type",
}  # not seen from outside, or otherwise


@dataclass
class Stage:
    """hub: the server. playback: what stands for all providers. keys: account -> app key."""

    hub: Hub
    playback: Playback
    keys: dict[str, str] = field(default_factory=dict)

    def seed(self, cases: list[Case]) -> None:
        accounts: dict[str, dict[str, Any]] = {}
        for case in cases:
            access = case.access
            account = accounts.setdefault(
                account_of(case),
                {
                    "provider": case.slug,
                    "values": dict(access.values),
                    "base_url": access.base_url,
                    "models": {},
                },
            )
            account["models"][case.model] = {
                "type": OPERATIONS[Operation(case.operation)].model_type.value,
                "values": dict(access.model_values),
                "facts": facts_of(case),
            }
        server = self.hub.server
        asked = server.data / "accounts.json"
        asked.write_text(
            json.dumps({"pair": pair("1").export_key("DER").hex(), "accounts": accounts})
        )
        self.keys = json.loads(server.python("-m", "tests.gateway.seed_cases", str(asked)))

    def scene_of(self, case: Case, **options: Any) -> Scene:
        """options: how the provider's streams look, as case.replies takes it, `slowly`, and
        `again`: what the server refused before is not asked of it again.
        """
        slowly, again = options.pop("slowly", False), options.pop("again", False)
        calls, replies = calls_of(case), case.replies(**options)
        refused = len(replies) > 1 and replies[0].status == 400 and calls[0] == calls[1]
        learned = again and refused
        return Scene(calls[learned:], replies[learned:], slowly)

    def key_of(self, case: Case) -> str:
        return self.keys[account_of(case)]


def account_of(case: Case) -> str:
    """Cases of one account and with the same facts share a workspace."""
    kind = OPERATIONS[Operation(case.operation)].model_type
    return json.dumps(
        [case.slug, kind, case.told.get("access", {}), facts_of(case)], sort_keys=True
    )


def facts_of(case: Case) -> dict[str, Any]:
    """The workspace's word on the model. A made-up case knows its model by its own facts alone,
    others by the shipped ones too.
    """
    told = {
        name: value
        for name, value in case.told.get("facts", {}).items()
        if name not in ("name", "type")
    }
    return (
        told if case.recorded or "sdk" in case.told else {"features": [], "parameters": {}} | told
    )


def calls_of(case: Case) -> list[tuple[str, str]]:
    """What the adapter calls by itself is what the gateway must call."""
    made: list[Call] = []
    with suppress(ProviderError):
        play(case, made=made)
    return [(call.method, call.url) for call in made]


def body_of(case: Case) -> dict[str, Any]:
    """The request as a client of the gateway sends it."""
    streamed: dict[str, Any] = {"stream": True} if case.stream else {}
    if case.stream and case.operation in (Operation.CHAT, Operation.COMPLETION):
        streamed |= {"stream_options": {"include_usage": True}}
    return (
        {"model": f"{case.slug}/{case.model}"}
        | streamed
        | {name: value for name, value in case.body.items() if name != "model"}
    )


def file_of(upload: Upload) -> tuple[str, bytes, str]:
    """(name, content, type). The gateway looks at what it is sent: a stub that is enough for an
    adapter becomes audio.
    """
    return (
        upload.filename,
        upload.data if len(upload.data) > len("RIFF") else b"RIFF....WAVE",
        upload.content_type,
    )


def ask(stage: Stage, case: Case) -> requests.Response:
    path, body, options = f"/{case.operation.replace('.', '/')}", body_of(case), {}
    if case.upload is not None:
        options["files"] = {"file": file_of(case.upload)}
        options["data"] = {
            name: json.dumps(value) if not isinstance(value, str) else value
            for name, value in body.items()
        }
    else:
        options["json"] = body
    headers = {"Authorization": f"Bearer {stage.key_of(case)}"}
    return stage.hub.session.post(stage.hub.base + path, headers=headers, timeout=30, **options)


def outcome_of(body: Any, chunks: list[dict[str, Any]] | None = None) -> Outcome:
    """What a client saw, in the form that cases are compared with. body: JSON or bytes. chunks: of
    a stream.
    """
    if chunks is not None:
        finishes = [
            choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices", ())
        ]
        frames = [Frame(json.dumps(chunk).encode()) for chunk in chunks]
        return Outcome(
            [], frames=frames, finish_reason=next(filter(None, reversed(finishes)), None)
        )
    if isinstance(body, bytes):
        return Outcome([], Answer(None, content=body))
    return Outcome(
        [], Answer(body), finish_reason=(body.get("choices") or [{}])[0].get("finish_reason")
    )


def outside(case: Case) -> dict[str, Any]:
    """What of the case's expectations a client can see."""
    hidden = (
        HIDDEN
        if case.operation in (Operation.CHAT, Operation.COMPLETION)
        else HIDDEN | {"finish_reason"}
    )
    return {name: value for name, value in case.expect.items() if name not in hidden}


def compare(outcome: Outcome, case: Case) -> None:
    """Compare what a client saw with a case. Before a call with reasoning, an id that carries the
    reasoning stands for the provider's own.
    """
    expected = copy.deepcopy(outside(case))
    message = expected.get("message", {})
    if message.get("reasoning_content") or message.get("provider_blocks"):
        seen = outcome.message.get("tool_calls") or ()
        for call, other in zip(message.get("tool_calls") or (), seen, strict=False):
            if other["id"].startswith(MARK):
                assert len(other["id"]) <= LONGEST
                call["id"] = other["id"]
    comparing.compare(outcome, expected)


def code_of(case: Case) -> str:
    """The code that a client is told for the case's error."""
    failure = Failure(case.expect["error"]["failure"])
    return from_provider(ProviderError(failure, ""), label="").code


def check_usage(stage: Stage, case: Case, request_id: str) -> None:
    """The record holds what the provider said, and says so."""
    if "usage" not in case.expect:
        return
    record, usage = stage.hub.wait_for_record(request_id), case.expect["usage"]
    if usage and usage.get("prompt_tokens") is not None and case.operation != Operation.SPEECH:
        wanted = (usage["prompt_tokens"], usage.get("completion_tokens") or 0, "reported")
        assert (
            record["prompt_tokens"],
            record["completion_tokens"] or 0,
            record["usage_source"],
        ) == wanted


@contextmanager
def set_stage(cases: list[Case]) -> Iterator[Stage]:
    playback = Playback()
    with Running(playback):
        for hub in running_hub(
            playback, application="tests.fakes.detour:application", MODELKEEP_PLAYBACK=playback.url
        ):
            stage = Stage(hub, playback)
            stage.seed(cases)
            yield stage
