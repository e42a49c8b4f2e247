"""A program outside that knows only the promised names: commands, REST paths and the OpenAI SDK,
against a whole server.
"""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests

from tests.api.conftest import CALL_FIELDS
from tests.fakes.provider import FakeProvider, Running
from tests.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

HELLO: Any = [{"role": "user", "content": "Hello"}]
SCENARIOS = [
    *("reasoning", "embedding", "speech-to-text", "rerank", "text-to-speech", "moderation"),
    "image",
]


class Script:
    """An application with an app key, and the fake provider it does not know of."""

    def __init__(self, server: Server, fake: FakeProvider) -> None:
        self.server = server
        self.fake = fake
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {server.app_key}"
        self.sdk = openai.OpenAI(
            base_url=f"{server.url}/v1", api_key=server.app_key, max_retries=0, timeout=30
        )

    def call(
        self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any
    ) -> Any:
        answer = self.session.request(
            method, f"{self.server.url}/api/v1{path}", json=body, timeout=60, **options
        )
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def rows(self, path: str) -> list[dict[str, Any]]:
        body = self.call("GET", path)
        assert set(body) == {"results", "next"}
        found: list[dict[str, Any]] = body["results"]
        return found

    def set_defaults(self, **models: str) -> None:
        for scenario, model in models.items():
            path = f"/default-models/{scenario.replace('_', '-')}/"
            assert self.call("PUT", path, {"model": model, "fallbacks": []})["model"] == model

    def newest(self, provider: str) -> dict[str, Any]:
        [record, *_older] = self.rows("/usage/calls/?limit=1")
        assert set(record) >= CALL_FIELDS
        assert record["provider"] == provider
        return record

    def use_everything(self, provider: str, *, speech: bool = True) -> None:
        """Whole and streamed chat, vectors and a transcript; each call's record says what the
        answer said.
        """
        whole = self.sdk.chat.completions.create(model="default", messages=HELLO)
        assert whole.choices[0].message.content
        self.compare(provider, "reasoning", whole.usage)
        chunks = list(
            self.sdk.chat.completions.create(
                model="reasoning",
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert (
            len("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
            > 5
        )
        self.compare(provider, "reasoning", chunks[-1].usage)
        assert self.newest(provider)["first_token_ms"] is not None
        vectors = self.sdk.embeddings.create(model="embedding", input=["one", "two"])
        assert len(vectors.data) == 2
        record = self.newest(provider)
        assert (record["scenario"], record["prompt_tokens"]) == (
            "embedding",
            vectors.usage.prompt_tokens,
        )
        if speech:
            heard = self.sdk.audio.transcriptions.create(
                model="speech-to-text", file=("voice.wav", silence())
            )
            assert heard.text
            assert self.newest(provider)["scenario"] == "speech-to-text"

    def compare(self, provider: str, scenario: str, usage: Any) -> None:
        record = self.newest(provider)
        assert record["status"] == "ok"
        assert record["scenario"] == scenario
        assert record["usage_source"] == "reported"
        assert (record["prompt_tokens"], record["completion_tokens"]) == (
            usage.prompt_tokens,
            usage.completion_tokens,
        )
        assert record["attempts"] == 1
        assert record["credits"] == 0


def silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(32000))
    return file.getvalue()


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    with (
        Running(FakeProvider()) as fake,
        Server(env={"MODELKEEP_EGRESS_ALLOW": fake.url, "MODELKEEP_DEMO_PROVIDER": "1"}) as server,
    ):
        found = Script(server, fake)
        yield found
        found.sdk.close()
        found.session.close()


def test_the_first_start_gives_a_key_once(script: Script) -> None:
    assert set(script.server.first) >= {"workspace", "owner", "password", "app_key"}
    assert script.server.first["workspace"] == "main"
    again = json.loads(
        script.server.manage(
            "init", "--workspace", "main", "--owner", "owner@example.test", "--json"
        )
    )
    assert again["workspace"] == "main"
    assert not again.get("password")
    assert not again.get("app_key")
    made = json.loads(
        script.server.manage("app_key", "main", "--name", "Reader", "--scopes", "read", "--json")
    )
    headers = {"Authorization": f"Bearer {made['app_key']}"}
    assert (
        requests.get(
            f"{script.server.url}/api/v1/providers/", headers=headers, timeout=30
        ).status_code
        == 200
    )


def test_providers_are_described_as_data(script: Script) -> None:
    for row in script.rows("/providers/"):
        assert set(row) >= {
            "slug",
            "label",
            "kind",
            "model_types",
            "credential_fields",
            "model_fields",
            "state",
        }
        assert row["kind"] in ("own", "hosting")
        for field in [*row["credential_fields"], *row["model_fields"]]:
            assert set(field) >= {"name", "label", "secret", "required", "help_url"}
        if row["slug"] != "demo":
            assert "base_url" in {field["name"] for field in row["credential_fields"]}


def test_an_openai_compatible_server(script: Script) -> None:
    values = {"base_url": f"{script.fake.url}/v1", "api_key": "sk-canary7f3a-contract-0123456789"}
    made = script.call(
        "POST",
        "/providers/openai_compatible/credentials/",
        {"name": "Lab", "values": values, "check": True},
        status=201,
    )
    assert set(made) >= {"id", "name", "masked", "state", "since"}
    assert made["state"] == "connected"
    assert values["api_key"] not in json.dumps(made)
    for model, kind in (
        ("owner/chat", "reasoning"),
        ("vectors", "embedding"),
        ("ears", "speech-to-text"),
    ):
        body = {"model": model, "type": kind, "values": {}, "check": True}
        assert (
            script.call("POST", "/providers/openai_compatible/models/", body, status=201)["id"]
            == f"openai_compatible/{model}"
        )
        script.call("POST", "/providers/openai_compatible/models/", body, status=409)
    assert "openai_compatible/owner/chat" in {
        row["id"] for row in script.rows("/models/?type=reasoning&enabled=true")
    }
    script.set_defaults(
        reasoning="openai_compatible/owner/chat",
        embedding="openai_compatible/vectors",
        speech_to_text="openai_compatible/ears",
    )
    assert [row["scenario"] for row in script.rows("/default-models/")] == SCENARIOS
    script.use_everything("openai_compatible")
    assert {row["source"] for row in script.rows("/usage/calls/?model=owner/chat")} == {
        "credential:Lab"
    }
    assert script.rows("/usage/calls/?source=trial:openai") == []


def test_a_chatglm_server_without_a_key(script: Script) -> None:
    body = {"name": "GLM", "values": {"base_url": script.fake.url}, "check": True}
    assert (
        script.call("POST", "/providers/chatglm/credentials/", body, status=201)["state"]
        == "connected"
    )
    script.call(
        "POST", "/providers/chatglm/models/", {"model": "our-glm", "type": "reasoning"}, status=201
    )
    script.call(
        "POST",
        "/providers/chatglm/models/",
        {"model": "our-vectors", "type": "embedding"},
        status=201,
    )
    script.set_defaults(reasoning="chatglm/our-glm", embedding="chatglm/our-vectors")
    script.use_everything("chatglm", speech=False)


def test_demo_without_any_key(script: Script) -> None:
    before = script.fake.count
    assert (
        script.call(
            "POST",
            "/providers/demo/credentials/",
            {"name": "Demo", "values": {}, "check": True},
            status=201,
        )["state"]
        == "connected"
    )
    models = {row["type"]: row["id"] for row in script.rows("/models/?provider=demo")}
    script.set_defaults(
        reasoning=models["reasoning"],
        embedding=models["embedding"],
        speech_to_text=models["speech-to-text"],
    )
    script.use_everything("demo")
    assert script.fake.count == before


def test_a_refused_key_is_not_stored(script: Script) -> None:
    script.fake.mode = "status:401"
    try:
        body = {
            "name": "Wrong",
            "values": {
                "api_key": "sk-canary7f3a-wrong-0123456789",
                "base_url": f"{script.fake.url}/v1",
            },
            "check": True,
        }
        refused = script.call("POST", "/providers/openai/credentials/", body, status=422)["error"]
    finally:
        script.fake.mode = "ok"
    assert refused["code"] == "provider_auth_failed"
    assert refused["what_we_sent"]["path"] == "/v1/models"
    assert "canary7f3a" not in json.dumps(refused)
    assert script.rows("/providers/openai/credentials/") == []


def test_switching_off_and_clearing(script: Script) -> None:
    path = "/models/openai_compatible/owner/chat/"
    assert script.call("PATCH", path, {"enabled": False})["enabled"] is False
    with pytest.raises(openai.NotFoundError):
        script.sdk.chat.completions.create(model="openai_compatible/owner/chat", messages=HELLO)
    assert (
        script.call("PATCH", path, {"enabled": True, "context_window": 8192})["context_window"]
        == 8192
    )
    assert script.sdk.chat.completions.create(
        model="openai_compatible/owner/chat", messages=HELLO
    ).choices
    script.call("DELETE", "/default-models/reasoning/", status=204)
    with pytest.raises(openai.APIStatusError) as caught:
        script.sdk.chat.completions.create(model="default", messages=HELLO)
    assert caught.value.status_code == 424
    script.call("DELETE", path, status=204)


def test_trials_and_sums(script: Script) -> None:
    for row in script.rows("/trials/"):
        assert set(row) >= {"plan", "provider", "limit", "settled", "held", "left", "models"}
    command = [
        "trial_plan",
        "openai",
        "--credential",
        "api_key=sk-canary7f3a-trial-0123456789",
        "--credential",
        f"base_url={script.fake.url}/v1",
    ]
    script.server.manage(
        *command,
        "--model",
        "gpt-3.5-turbo",
        "--model",
        "gpt-3.5-turbo-16k=2",
        "--limit",
        "500",
        "--on",
    )
    found = {row["plan"]: row for row in script.rows("/trials/")}["openai"]
    assert (found["provider"], found["limit"], found["settled"], found["held"], found["left"]) == (
        "openai",
        500,
        0,
        0,
        500,
    )
    assert {"model": "gpt-3.5-turbo-16k", "credits": 2} in found["models"]
    assert script.sdk.chat.completions.create(
        model="openai/gpt-3.5-turbo-16k", messages=HELLO
    ).choices
    record = script.newest("openai")
    assert (record["source"], record["credits"]) == ("trial:openai", 2)
    assert {row["plan"]: row["left"] for row in script.rows("/trials/")}["openai"] == 498
    for by in ("day", "model", "provider", "app_key"):
        rows = script.call("GET", f"/usage/summary/?days=30&by={by}")["results"]
        assert sum(row["calls"] for row in rows) == len(script.rows("/usage/calls/?limit=1000"))


def test_the_description_is_public(script: Script) -> None:
    schema = requests.get(f"{script.server.url}/api/schema/", timeout=60)
    assert schema.json()["openapi"].startswith("3.1")
    page = requests.get(f"{script.server.url}/api/docs/", timeout=60)
    assert page.status_code == 200
    assert "/api/v1/usage/calls/" in page.text
    stylesheet = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert requests.get(f"{script.server.url}{stylesheet}", timeout=30).status_code == 200
