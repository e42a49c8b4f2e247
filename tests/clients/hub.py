"""The product with five providers behind it: four scripted vendors, and the Demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from tests.fakes.provider import Running
from tests.fakes.scripted.provider import ScriptedProvider
from tests.server import Server

# One model for each vendor: the newest of the kind that people give to agents.
MODELS = {
    "openai": "openai/gpt-6-luna",
    "anthropic": "anthropic/claude-sonnet-4-6",
    "deepseek": "deepseek/deepseek-v4-pro",
    "tongyi": "tongyi/qwen3.7-plus",
    "demo": "demo/demo-chat",
}
EMBEDDINGS = "openai/text-embedding-3-small"


@dataclass(frozen=True)
class Hub:
    """url: without /v1. key: an app key that may use everything."""

    url: str
    key: str
    fake: ScriptedProvider

    @property
    def base(self) -> str:
        return f"{self.url}/v1"


@contextmanager
def running_hub() -> Iterator[Hub]:
    fake = ScriptedProvider(keep_calls=0)
    with (
        Running(fake),
        Server(env={"MODELKEEP_EGRESS_ALLOW": fake.url}) as server,
    ):
        credentials = [
            {
                "provider": vendor,
                "name": vendor,
                "values": {"api_key": f"sk-{vendor}-0123456789"} if vendor != "demo" else {},
                "base_url": fake.address(vendor) if vendor != "demo" else "",
            }
            for vendor in MODELS
        ]
        wanted = json.dumps({"credentials": credentials})
        server.python("-m", "tests.gateway.seed", server.workspace, wanted)
        _keep_reasoning(server)
        yield Hub(server.url, server.app_key, fake)


def _keep_reasoning(server: Server) -> None:
    """Switch on what carries reasoning that is too long for the ID of a call."""
    answer = requests.patch(
        f"{server.url}/api/v1/workspace/",
        json={"kept_hours": 6},
        headers={"Authorization": f"Bearer {server.app_key}"},
        timeout=30,
    )
    assert answer.ok, answer.text
