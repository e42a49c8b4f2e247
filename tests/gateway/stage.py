"""The real gateway with the cases of all providers: a workspace for each account that a case needs, the playback server behind.

`python -m tests.gateway.stage` is the part that writes the rows, beside the server: it reads accounts and prints their app keys.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from gateway.errors import from_provider
from providers.errors import Failure, ProviderError
from providers.spec import OPERATION_TYPE, Answer, Call, Frame, Kind, Operation, Provider, Upload
from tests.fakes.playback import Playback, Scene
from tests.fakes.provider import Running
from tests.gateway.conftest import Hub, running_hub
from tests.providers.case import Case
from tests.providers.driving import Outcome
from tests.providers.test_wire_contract import play

HIDDEN = {"calls", "usage", "usage_only", "untouched", "output_characters", "content_type"}  # not seen from outside, or otherwise


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
                {"provider": case.slug, "values": dict(access.values), "base_url": access.base_url, "models": {}},
            )
            account["models"][case.model] = {
                "type": OPERATION_TYPE[Operation(case.operation)].value,
                "values": dict(access.model_values),
                "facts": facts_of(case),
            }
        self.keys = json.loads(self.hub.server._python("-m", "tests.gateway.stage", json.dumps(accounts)))

    def scene_of(self, case: Case, **options: Any) -> Scene:
        """options: how the provider's streams look, as case.replies takes it, and `slowly`."""
        slowly = options.pop("slowly", False)
        return Scene(calls_of(case), case.replies(**options), slowly)

    def key_of(self, case: Case) -> str:
        return self.keys[account_of(case)]


def account_of(case: Case) -> str:
    """Cases of one account and with the same facts share a workspace."""
    kind = OPERATION_TYPE[Operation(case.operation)]
    return json.dumps([case.slug, kind, case.told.get("access", {}), facts_of(case)], sort_keys=True)


def facts_of(case: Case) -> dict[str, Any]:
    """The workspace's word on the model. A made-up case knows its model by its own facts alone, others by the shipped ones too."""
    told = {name: value for name, value in case.told.get("facts", {}).items() if name not in ("name", "type")}
    return told if case.recorded or "sdk" in case.told else {"features": [], "parameters": {}} | told


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
    return {"model": f"{case.slug}/{case.model}"} | streamed | {name: value for name, value in case.body.items() if name != "model"}


def file_of(upload: Upload) -> tuple[str, bytes, str]:
    """(name, content, type). The gateway looks at what it is sent: a stub that is enough for an adapter becomes audio."""
    return upload.filename, upload.data if len(upload.data) > len("RIFF") else b"RIFF....WAVE", upload.content_type


def ask(stage: Stage, case: Case) -> requests.Response:
    path, body, options = f"/{case.operation.replace('.', '/')}", body_of(case), {}
    if case.upload is not None:
        options["files"] = {"file": file_of(case.upload)}
        options["data"] = {name: json.dumps(value) if not isinstance(value, str) else value for name, value in body.items()}
    else:
        options["json"] = body
    headers = {"Authorization": f"Bearer {stage.key_of(case)}"}
    return stage.hub.session.post(stage.hub.base + path, headers=headers, timeout=30, **options)


def outcome_of(body: Any, chunks: list[dict[str, Any]] | None = None) -> Outcome:
    """What a client saw, in the form that cases are compared with. body: JSON or bytes. chunks: of a stream."""
    if chunks is not None:
        finishes = [choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices", ())]
        frames = [Frame(json.dumps(chunk).encode()) for chunk in chunks]
        return Outcome([], frames=frames, finish_reason=next(filter(None, reversed(finishes)), None))
    if isinstance(body, bytes):
        return Outcome([], Answer(None, content=body))
    return Outcome([], Answer(body), finish_reason=(body.get("choices") or [{}])[0].get("finish_reason"))


def outside(case: Case) -> dict[str, Any]:
    """What of the case's expectations a client can see."""
    hidden = HIDDEN if case.operation in (Operation.CHAT, Operation.COMPLETION) else HIDDEN | {"finish_reason"}
    return {name: value for name, value in case.expect.items() if name not in hidden}


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
        assert (record["prompt_tokens"], record["completion_tokens"] or 0, record["usage_source"]) == wanted


@contextmanager
def set_stage(cases: list[Case]) -> Iterator[Stage]:
    playback = Playback()
    with Running(playback):
        for hub in running_hub(playback, application="tests.fakes.detour:application", MODELKEEP_PLAYBACK=playback.url):
            stage = Stage(hub, playback)
            stage.seed(cases)
            yield stage


# Beside the server: the rows.


def write_rows(accounts: dict[str, dict[str, Any]]) -> dict[str, str]:
    import django

    django.setup()
    return {name: _write_account(number, account) for number, (name, account) in enumerate(accounts.items())}


def _write_account(number: int, account: dict[str, Any]) -> str:
    from providers import registry, services
    from tenants.audit import COMMAND
    from tenants.scope import tenant_scope
    from tenants.services import bump_version, create_app_key, create_workspace

    tenant = create_workspace(slug=f"case-{number}", name=f"Case {number}", owner=None, actor=COMMAND)
    tenant.refresh_from_db()
    declared = registry.get(account["provider"])
    with tenant_scope(tenant):
        wanted = {"provider": declared.slug, "values": account["values"], "base_url": account["base_url"]}
        credential = None
        if account["values"] or account["base_url"] or declared.local:
            credential = services.store_unchecked(tenant=tenant, actor=COMMAND, name="Main", **wanted)
        for model, told in account["models"].items():
            _write_model(tenant, declared, credential, model, told)
        bump_version(tenant.pk)
        return create_app_key(tenant=tenant, actor=COMMAND, name="Cases", scopes=["use"])[1]


def _write_model(tenant: Any, declared: Provider, credential: Any, model: str, told: dict[str, Any]) -> None:
    from models_catalog import facts, services
    from models_catalog.models import TenantModel
    from tenants.audit import COMMAND

    is_shipped = declared.kind is Kind.OWN and model in facts.shipped(declared.slug).models
    if is_shipped and not told["facts"]:
        return
    cleaned, url = services._model_values(declared, told["values"], "", credential)
    origin = TenantModel.Origin.SHIPPED if is_shipped else TenantModel.Origin.ADDED
    row = TenantModel(
        tenant=tenant, provider=declared.slug, model=model, type=told["type"], origin=origin, base_url=url, values=cleaned.public
    )
    row.overrides = told["facts"]
    services._store_model(services._Draft(declared, row, dict(cleaned.secret), credential), COMMAND)


if __name__ == "__main__":
    from Crypto.PublicKey import RSA

    from providers import egress

    RSA.generate = cache(RSA.generate)  # type: ignore[assignment]  # one pair serves all: making one takes a second
    egress.check_url = lambda *_arguments, **_options: None  # type: ignore[assignment]  # addresses are those of the cases
    sys.stdout.write(json.dumps(write_rows(json.loads(sys.argv[1]))))
