"""Other addresses of the endpoints, and the advice that wrong ones are answered with."""

from __future__ import annotations

from typing import Any

import openai
import pytest
import requests

from gateway.dataplane.requests.addresses import address_of, is_endpoint
from tests.gateway.conftest import CHAT, Hub

MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("sent", "path", "model"),
    [
        ("/v1/chat/completions/", "/v1/chat/completions", ""),
        ("/openai/v1/chat/completions", "/v1/chat/completions", ""),
        ("/openai/v1/models/openai/gpt-4o", "/v1/models/openai/gpt-4o", ""),
        ("/openai/embeddings", "/v1/embeddings", ""),
        ("/openai/deployments/gpt-4o/chat/completions", "/v1/chat/completions", "gpt-4o"),
        ("/openai/deployments/a/b/audio/speech", "/v1/audio/speech", "a/b"),
        ("/openai/deployments/chat/completions", "/v1/completions", "chat"),
        ("/openai/deployments/gpt-4o/paint", "/openai/deployments/gpt-4o/paint", ""),
        ("/openai/v1/paint", "/openai/v1/paint", ""),
        ("/v2/rerank", "/v1/rerank", ""),
        ("/v2/chat", "/v2/chat", ""),
    ],
)
def test_the_other_names_of_an_endpoint(sent: str, path: str, model: str) -> None:
    address = address_of(sent)
    assert (address.path, address.model) == (path, model)
    assert is_endpoint(sent)


@pytest.mark.one_database
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/models/",
        "/api/v1/default-models/rerank/",
        "/t/acme/models/",
        "/t/v1/settings/",
        "/help/models/",
        "/openair",
        "/v10/chat/completions",
    ],
)
def test_pages_and_the_rest_api_keep_their_paths(path: str) -> None:
    assert not is_endpoint(path)


@pytest.mark.slow
@pytest.mark.one_database
class TestAliases:
    def test_azures_sdk_names_the_model_in_the_path(self, hub: Hub) -> None:
        client = openai.AzureOpenAI(
            azure_endpoint=hub.base.removesuffix("/v1"),
            api_key=hub.server.app_key,
            api_version="2026-01-01",
            max_retries=0,
        )
        answer = client.chat.completions.create(model="demo/demo-chat", messages=MESSAGES)
        assert answer.choices[0].message.content == (
            "Demo answer (no model was called). You wrote: Hello"
        )
        stream = client.with_options(max_retries=0).chat.completions.create(
            model="demo/demo-chat", messages=MESSAGES, stream=True
        )
        assert "".join(
            choice.delta.content or "" for chunk in stream for choice in chunk.choices
        ).endswith("Hello")
        vectors = client.embeddings.create(model="demo/demo-embedding", input="a")
        assert len(vectors.data[0].embedding) == 256

    def test_the_path_decides_if_the_body_names_another_model(self, hub: Hub) -> None:
        answer = requests.post(
            hub.base.removesuffix("/v1") + "/openai/deployments/demo/demo-chat/chat/completions",
            json={"model": "nothing", "messages": MESSAGES},
            headers={"api-key": hub.server.app_key},
            timeout=10,
        )
        assert answer.json()["model"] == "demo-chat"

    def test_groqs_and_coheres_paths(self, hub: Hub) -> None:
        site, key = hub.base.removesuffix("/v1"), {"x-goog-api-key": hub.server.app_key}
        models = requests.get(f"{site}/openai/v1/models", headers=key, timeout=10)
        assert models.json() == requests.get(hub.base + "/models", headers=key, timeout=10).json()
        body = {"model": "demo/demo-rerank", "query": "red", "documents": ["green", "red"]}
        ranked = requests.post(f"{site}/v2/rerank", json=body, headers=key, timeout=10)
        assert [row["index"] for row in ranked.json()["results"]] == [1, 0]

    @pytest.mark.parametrize(
        ("path", "advice"),
        [
            ("/chat/completions", "lacks /v1"),
            ("/api/v1/chat/completions", "The base URL is http"),
            ("/v1/v1/chat/completions", "contains /v1 twice"),
            ("/v1/paint", "The base URL is http"),
            ("/v2/chat", "The base URL is http"),
            ("/openai/deployments/x/paint", "The base URL is http"),
            ("/v1beta/models/x:generateContent", "The base URL is http"),
            ("/models/x", "lacks /v1"),
        ],
    )
    def test_a_wrong_address_is_answered_with_the_right_one(
        self, path: str, advice: str, hub: Hub
    ) -> None:
        answer = requests.post(hub.base.removesuffix("/v1") + path, json=CHAT, timeout=10)
        error: dict[str, Any] = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "not_found")
        assert advice in error["message"]
        assert path in error["message"]
        assert "/v1/chat/completions, " in error["message"]
        assert "/v1/models" in error["message"]
