"""A server whose provider keeps files and batches, and two workspaces on one account there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import openai
import pytest
import requests

from tenants.auth.permissions import Action, Scope
from tenants.auth.principal import Principal
from tests.fakes.message_batches import MessageBatchProvider
from tests.fakes.provider import Running
from tests.gateway.conftest import KEY, Hub, running_hub

MODEL = "gpt-4o-mini"


def jsonl(*models: str, path: str = "/v1/chat/completions", **body: Any) -> bytes:
    """The lines of a batch, one for each model."""
    said = {"messages": [{"role": "user", "content": "Hi"}]} | body
    return b"".join(
        json.dumps(
            {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": path,
                "body": {"model": model} | said,
            }
        ).encode()
        + b"\n"
        for number, model in enumerate(models)
    )


def make_principal(tenant_id: UUID | None = None, **limits: Any) -> Principal:
    """An app key that may use models."""
    return Principal(
        kind="app_key",
        tenant_id=tenant_id or uuid4(),
        tenant_slug="acme",
        role=None,
        scopes=frozenset({Scope.USE}),
        actions=frozenset({Action.USE_MODELS}),
        user_id=None,
        app_key_id=uuid4(),
        app_key_name="Key",
        label="app key Key",
        allowed_providers=frozenset(limits.pop("allowed_providers", ())),
        allowed_models=frozenset(limits.pop("allowed_models", ())),
        config_version=1,
        **limits,
    )


@dataclass
class Stage:
    """acme and globex: the official SDK with a key of each workspace, on the same account."""

    hub: Hub
    fake: MessageBatchProvider
    acme: openai.OpenAI
    globex: openai.OpenAI

    def narrow(self, **limits: Any) -> openai.OpenAI:
        """A key of acme's with limits."""
        made = requests.post(
            f"{self.hub.server.url}/api/v1/app-keys/",
            json={"name": secrets.token_hex(4), "scopes": ["use"]} | limits,
            headers={"Authorization": f"Bearer {self.acme.api_key}"},
            timeout=30,
        )
        assert made.status_code == 201, made.text
        return self.client(made.json()["key"])

    def client(self, key: str) -> openai.OpenAI:
        return self.hub.sdk(key)

    def upload(
        self, client: openai.OpenAI | None = None, content: bytes = b"", **options: Any
    ) -> Any:
        content = content or jsonl(f"openai/{MODEL}", MODEL)
        return (client or self.acme).files.create(
            file=("lines.jsonl", content), purpose="batch", **options
        )

    def begin(self, client: openai.OpenAI | None = None) -> Any:
        file = self.upload(client)
        return (client or self.acme).batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )

    def records(self) -> list[dict[str, Any]]:
        """The records of batches."""
        names = (
            "model, status, error_code, prompt_tokens, completion_tokens, usage_source, cost, "
            "currency, app_key_name, request_id"
        )
        rows = self.hub.rows(
            f"SELECT {names} FROM quotas_callrecord WHERE operation = 'batches' ORDER BY id"
        )
        return [dict(zip(names.split(", "), row, strict=True)) for row in rows]


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    fake = MessageBatchProvider()
    with Running(fake):
        for hub in running_hub(fake, MODELKEEP_FILE_LIMIT="4", MODELKEEP_REAPER_PERIOD="1"):
            account = {"provider": "openai", "values": {"api_key": KEY}, "base_url": fake.url}
            demo = {"provider": "demo", "name": "Demo", "values": {}}
            hub.seed(credentials=[{"name": "Main", **account}, demo])
            made = json.loads(
                hub.server.manage(
                    "init", "--workspace", "globex", "--owner", "owner@globex.example", "--json"
                )
            )
            seeded = json.dumps({"credentials": [{"name": "Same account", **account}]})
            hub.server.python("-m", "tests.gateway.seed", "globex", seeded)
            with hub.compared():
                yield Stage(hub, fake, hub.sdk(), hub.sdk(made["app_key"]))


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    if "stage" in request.fixturenames:
        request.getfixturevalue("stage").fake.reset()
