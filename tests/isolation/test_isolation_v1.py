"""The walker for the OpenAI-compatible endpoint: two workspaces on one server, each with a key at
the same provider.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.factories import marked_secret
from tests.fakes.provider import FakeProvider, Running
from tests.server import Server

pytestmark = pytest.mark.slow
MESSAGES = [{"role": "user", "content": "Hello"}]
# Paths that take a model, with what they take besides it.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/embeddings": {"input": "Hello"},
    "/v1/audio/speech": {"input": "Hello", "voice": "alloy"},
    "/v1/moderations": {"input": "Hello"},
    "/v1/rerank": {"query": "Hello", "documents": ["Hello", "Bye"]},
    "/v1/images/generations": {"prompt": "Hello"},
    "/v1/images/edits": {
        "prompt": "Hello",
        "images": [{"image_url": "data:image/png;base64,iVBORw=="}],
    },
}
# What the name of a model ends in, by path; those of chat bear the plain name.
ENDS = {
    "/v1/embeddings": "-vectors",
    "/v1/audio/speech": "-speech",
    "/v1/moderations": "-judge",
    "/v1/rerank": "-ranker",
    "/v1/images/generations": "-painter",
    "/v1/images/edits": "-painter",
}
TYPES = {
    "": "reasoning",
    "-vectors": "embedding",
    "-speech": "text-to-speech",
    "-judge": "moderation",
    "-ranker": "rerank",
    "-painter": "image",
}


@dataclass
class Side:
    """A workspace with a credential at the fake provider and a model that only it has."""

    server: Server
    key: str
    secret: str
    model: str

    def send(
        self, method: str, path: str, data: Any = None, *, key: str | None = None
    ) -> tuple[int, bytes]:
        token = self.key if key is None else key
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.server.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()


def make_side(server: Server, fake: FakeProvider, slug: str) -> Side:
    made = json.loads(
        server.manage("init", "--workspace", slug, "--owner", f"owner@{slug}.test", "--json")
    )
    side = Side(server, made["app_key"], marked_secret(f"{slug}'s key"), f"{slug}-only")
    values = {"api_key": side.secret, "base_url": fake.url + "/v1"}
    status, body = side.send(
        "POST", "/api/v1/providers/openai_compatible/credentials/", {"name": slug, "values": values}
    )
    assert status == 201, body
    for model, kind in (
        ("shared", "reasoning"),
        *((side.model + end, kind) for end, kind in TYPES.items()),
    ):
        added = {"model": model, "type": kind, "values": {}, "check": False}
        status, body = side.send("POST", "/api/v1/providers/openai_compatible/models/", added)
        assert status == 201, body
    return side


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with Running(FakeProvider()) as running:
        yield running


@pytest.fixture(scope="module")
def sides(fake: FakeProvider) -> Iterator[tuple[Side, Side]]:
    with Server(env={"MODELKEEP_EGRESS_ALLOW": fake.url}) as server:
        yield make_side(server, fake, "acme"), make_side(server, fake, "globex")


def model_for(path: str, side: Side) -> str:
    return f"openai_compatible/{side.model}{ENDS.get(path, '')}"


@pytest.mark.parametrize("path", BODIES)
def test_another_workspaces_model_does_not_exist(
    path: str, sides: tuple[Side, Side], fake: FakeProvider
) -> None:
    acme, globex = sides
    body = BODIES[path]
    status, _content = acme.send("POST", path, {**body, "model": model_for(path, acme)})
    assert status == 200
    fake.reset()
    status, content = globex.send("POST", path, {**body, "model": model_for(path, acme)})
    _status, nowhere = globex.send("POST", path, {**body, "model": "openai_compatible/no-such-one"})
    assert status == 404, content
    assert (
        json.loads(content)["error"]["code"]
        == json.loads(nowhere)["error"]["code"]
        == "model_not_found"
    )
    assert fake.calls == [], "the provider was called"


def test_each_workspace_calls_with_its_own_key(
    sides: tuple[Side, Side], fake: FakeProvider
) -> None:
    for side, other in (sides, sides[::-1]):
        for _repeat in range(3):  # the second and third come from caches
            fake.reset()
            status, content = side.send(
                "POST",
                "/v1/chat/completions",
                {"model": "openai_compatible/shared", "messages": MESSAGES},
            )
            assert status == 200, content
            assert [side.secret in str(call.headers) for call in fake.calls] == [True]
            assert not any(other.secret in str(call.headers) for call in fake.calls)


def test_the_list_of_models_is_the_own_one(sides: tuple[Side, Side]) -> None:
    acme, globex = sides
    status, content = globex.send("GET", "/v1/models")
    assert status == 200
    names = {row["id"] for row in json.loads(content)["data"]}
    assert f"openai_compatible/{globex.model}" in names
    assert f"openai_compatible/{acme.model}" not in names
    assert acme.send("GET", f"/v1/models/openai_compatible/{acme.model}")[0] == 200
    assert globex.send("GET", f"/v1/models/openai_compatible/{acme.model}")[0] == 404


@pytest.mark.parametrize("path", [*BODIES, "/v1/models", "/v1/audio/transcriptions"])
def test_nobody_gets_in_without_a_key(
    path: str, sides: tuple[Side, Side], fake: FakeProvider
) -> None:
    acme, _globex = sides
    fake.reset()
    for key in ("", "mk_live_" + "0" * 49, "sk-something"):
        method, body = (
            ("GET", None)
            if path == "/v1/models"
            else ("POST", {**BODIES.get(path, {}), "model": model_for(path, acme)})
        )
        assert acme.send(method, path, body, key=key)[0] == 401
    assert fake.calls == []


@pytest.mark.parametrize("path", BODIES)
def test_a_narrow_key_stays_narrow(path: str, sides: tuple[Side, Side], fake: FakeProvider) -> None:
    acme, _globex = sides
    reading = _new_key(acme, f"reader {path}", scopes=["read"])
    narrow = _new_key(
        acme, f"narrow {path}", scopes=["use"], allowed_models=["openai_compatible/shared"]
    )
    fake.reset()
    status, content = acme.send(
        "POST", path, {**BODIES[path], "model": model_for(path, acme)}, key=reading
    )
    assert status == 403, content
    status, content = acme.send(
        "POST", path, {**BODIES[path], "model": model_for(path, acme)}, key=narrow
    )
    assert status in (403, 404), content
    assert fake.calls == []


def _new_key(side: Side, name: str, **limits: Any) -> str:
    status, content = side.send("POST", "/api/v1/app-keys/", {"name": name, **limits})
    assert status == 201, content
    return str(json.loads(content)["key"])


@pytest.mark.parametrize("field", ["api_base", "base_url", "api_key", "extra_headers"])
def test_a_body_cannot_turn_a_call_elsewhere(
    field: str, sides: tuple[Side, Side], fake: FakeProvider
) -> None:
    acme, globex = sides
    fake.reset()
    body = {
        "model": "openai_compatible/shared",
        "messages": MESSAGES,
        field: acme.secret if field == "api_key" else "https://attacker.test/",
    }
    assert globex.send("POST", "/v1/chat/completions", body)[0] == 400
    assert fake.calls == []


def test_calls_are_recorded_for_their_own_workspace_only(sides: tuple[Side, Side]) -> None:
    acme, globex = sides
    for side, other in ((acme, globex), (globex, acme)):
        status, content = side.send("GET", "/api/v1/usage/calls/")
        assert status == 200
        assert json.loads(content)["results"]
        assert other.model not in str(
            [row for row in json.loads(content)["results"] if row["status"] == "ok"]
        )
