"""What the product answers is what its document says: on every operation, door and list."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.requests.addresses import COUNT, MODELS
from gateway.openapi import kept
from providers.operations.columns import OperationSpec, Stream
from providers.operations.table import OPERATIONS
from tests.gateway.conftest import Hub
from tests.gateway.dataplane.continuity.test_kept import switch

pytestmark = [pytest.mark.slow, pytest.mark.one_database]  # a server runs

POSTED = sorted({*ENDPOINTS, COUNT})
OURS = ("x-modelkeep-", "x-request-id", "request-id", "retry-after", "x-should-retry")


@pytest.fixture(scope="module")
def document(shared_hub: Hub) -> dict[str, Any]:
    served = shared_hub.session.get(f"{shared_hub.base}/openapi.json", timeout=30)
    assert served.status_code == 200
    made: dict[str, Any] = served.json()
    return made


class Endpoint:
    """An endpoint as its document describes it, called as the document's example says."""

    def __init__(self, hub: Hub, document: dict[str, Any], path: str, method: str = "post") -> None:
        self.hub, self.path, self.method = hub, path, method
        self.document = document
        self.described = document["paths"][path][method]

    @property
    def spec(self) -> OperationSpec:
        found = ENDPOINTS.get(self.path) or ENDPOINTS[COUNT.rpartition("/")[0]]
        return OPERATIONS[found.operation]

    def post(self, *, key: str | None = None, **changes: Any) -> requests.Response:
        if self.takes_form and "application/json" not in self.bodies:
            return self.post_form(key=key, **changes)
        body = self.bodies["application/json"]["example"] | {"model": self.model()} | changes
        return self.hub.post(self.path.removeprefix("/v1"), body, key=key)

    def post_form(self, *, key: str | None = None, **changes: Any) -> requests.Response:
        assert self.spec.file is not None
        file = self.spec.file.smallest()
        sent = {"prompt": "Hello", "model": self.model()} | changes
        form = {name: str(value).lower() for name, value in sent.items()}
        files = {self.spec.file.name: (file.filename, file.data, file.content_type)}
        return self.hub.post(self.path.removeprefix("/v1"), key=key, data=form, files=files)

    @property
    def bodies(self) -> dict[str, Any]:
        content: dict[str, Any] = self.described["requestBody"]["content"]
        return content

    @property
    def takes_form(self) -> bool:
        return "multipart/form-data" in self.bodies

    def stream_field(self) -> dict[str, Any]:
        """The field that asks for a stream."""
        asks = {Stream.SPEECH_EVENTS: {"stream_format": "sse"}}
        return asks.get(self.spec.stream, {"stream": True})

    def model(self) -> str:
        return demo_model(self.hub, str(self.spec.model_type))

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        _root, _components, kind, name = node["$ref"].split("/")
        found: dict[str, Any] = self.document["components"][kind][name]
        return found

    def check(self, answer: requests.Response, status: int) -> None:
        """Compare an answer with the document."""
        assert answer.status_code == status, answer.text
        described = self.resolved(self.described["responses"][str(status)])
        documented = {name.lower() for name in described["headers"]}
        sent = {name.lower() for name in answer.headers if name.lower().startswith(OURS)}
        assert sent <= documented
        assert "x-request-id" in sent
        schema = described["content"][media_type(answer, described["content"])]["schema"]
        if "text/event-stream" in answer.headers["content-type"]:
            self.check_events(answer.text, schema["contentSchema"])
        elif "json" in answer.headers["content-type"]:
            self.validate(answer.json(), schema)
        else:
            assert answer.content

    def check_events(self, text: str, schema: dict[str, Any]) -> None:
        events = [
            line.removeprefix("data:").strip()
            for line in text.splitlines()
            if line.startswith("data:")
        ]
        assert events
        for event in events:
            if event != "[DONE]":
                self.validate(json.loads(event), schema)

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        Draft202012Validator({**schema, "components": self.document["components"]}).validate(value)


def media_type(answer: requests.Response, content: dict[str, Any]) -> str:
    sent = answer.headers["content-type"].partition(";")[0]
    return next(kind for kind in content if kind in (sent, f"{sent.partition('/')[0]}/*"))


@cache
def demo_model(hub: Hub, model_type: str) -> str:
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}
    query = {"provider": "demo", "type": model_type}
    listed = hub.session.get(f"{hub.base}/models", headers=headers, params=query, timeout=30)
    return str(listed.json()["data"][0]["id"])


@pytest.mark.parametrize("path", POSTED)
def test_an_answer(hub: Hub, document: dict[str, Any], path: str) -> None:
    endpoint = Endpoint(hub, document, path)
    endpoint.check(endpoint.post(), 200)
    if endpoint.takes_form:
        endpoint.check(endpoint.post_form(), 200)


@pytest.mark.parametrize("path", POSTED)
def test_a_stream(hub: Hub, document: dict[str, Any], path: str) -> None:
    endpoint = Endpoint(hub, document, path)
    if "text/event-stream" in endpoint.described["responses"]["200"]["content"]:
        answer = endpoint.post(**endpoint.stream_field())
        endpoint.check(answer, 200)
        assert "text/event-stream" in answer.headers["content-type"]


@pytest.mark.parametrize("path", POSTED)
def test_errors(hub: Hub, document: dict[str, Any], path: str) -> None:
    endpoint = Endpoint(hub, document, path)
    endpoint.check(endpoint.post(key="mk_live_unknown"), 401)
    endpoint.check(endpoint.post(model="demo/nothing"), 404)
    endpoint.check(endpoint.post(base_url="https://example.com"), 400)
    endpoint.check(hub.post(path.removeprefix("/v1"), data="<a/>", headers=XML), 415)


XML = {"Content-Type": "application/xml"}


@pytest.mark.parametrize("headers", [{}, {"anthropic-version": "2023-06-01"}])
def test_models(hub: Hub, document: dict[str, Any], headers: dict[str, str]) -> None:
    headers = headers | {"Authorization": f"Bearer {hub.server.app_key}"}
    listed = Endpoint(hub, document, MODELS, "get")
    answer = hub.session.get(f"{hub.base}/models", headers=headers, timeout=30)
    listed.check(answer, 200)
    assert len(answer.json()["data"]) > 5
    one = Endpoint(hub, document, f"{MODELS}/{{model}}", "get")
    for name in ("demo/demo-chat", "demo%2Fdemo-chat"):
        found = hub.session.get(f"{hub.base}/models/{name}", headers=headers, timeout=30)
        one.check(found, 200)
        assert found.json()["id"] == "demo/demo-chat"
    one.check(hub.session.get(f"{hub.base}/models/nothing", headers=headers, timeout=30), 404)
    one.check(hub.session.get(f"{hub.base}/models/nothing", timeout=30), 401)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_stream_that_fails(hub: Hub, document: dict[str, Any], path: str) -> None:
    endpoint = Endpoint(hub, document, path)
    answer = endpoint.post(model="openai/gpt@break:4", stream=True)
    endpoint.check(answer, 200)
    assert "provider_error" in answer.text or "api_error" in answer.text


def test_a_kept_response(hub: Hub, document: dict[str, Any]) -> None:
    switch(hub, hub.server.app_key, 6)
    try:
        made = Endpoint(hub, document, "/v1/responses").post(store=True).json()
        one = Endpoint(hub, document, kept.PATH, "get")
        items = Endpoint(hub, document, kept.ITEMS_PATH, "get")
        deleted = Endpoint(hub, document, one.path, "delete")
        url = f"{hub.base}/responses/{made['id']}"
        headers = {"Authorization": f"Bearer {hub.server.app_key}"}
        one.check(hub.session.get(url, headers=headers, timeout=30), 200)
        items.check(hub.session.get(f"{url}/input_items", headers=headers, timeout=30), 200)
        query = {"order": "sideways"}
        refused = hub.session.get(f"{url}/input_items", headers=headers, params=query, timeout=30)
        items.check(refused, 400)
        deleted.check(hub.session.delete(url, headers=headers, timeout=30), 200)
        one.check(hub.session.get(url, headers=headers, timeout=30), 404)
    finally:
        switch(hub, hub.server.app_key, 0)
