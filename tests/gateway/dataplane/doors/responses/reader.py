"""What OpenAI's SDK makes of bytes that a door wrote, and requests that doors get."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx2
import openai
import orjson
from openai.types.responses import Response

from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.responses import DOOR
from providers.declaration.spec import Frame, Operation
from tenants.crypto.keys import Seal

OURS = uuid4()
INPUT = [{"role": "user", "content": "Hi"}]


def asked(tenant: UUID = OURS, **body: Any) -> Asked:
    whole = {"model": "m", "input": INPUT} | body
    return Asked(DOOR.read(Operation.CHAT, whole).body, True, Seal(tenant), uuid4().hex)


def neutral(tenant: UUID = OURS, **body: Any) -> dict[str, Any]:
    return DOOR.neutral(Operation.CHAT, asked(tenant, **body))


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> Frame:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return Frame(orjson.dumps({"id": "c1", "model": "m", "choices": [choice], **more}), True)


def sdk(content: bytes, content_type: str = "application/json") -> openai.OpenAI:
    """A client that gets this content as the answer to all it asks."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=content)

    return openai.OpenAI(
        base_url="http://hub.test/v1",
        api_key="k",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
        _strict_response_validation=True,
    )


def whole(content: bytes) -> Response:
    with sdk(content) as client:
        return client.responses.create(model="m", input="Hi")


def events(content: bytes) -> list[Any]:
    with sdk(content, "text/event-stream") as client:
        return list(client.responses.create(model="m", input="Hi", stream=True))


def streamed(content: bytes) -> Response:
    with (
        sdk(content, "text/event-stream") as client,
        client.responses.stream(model="m", input="Hi") as stream,
    ):
        seen = list(stream)
    return seen[-1].response  # type: ignore[union-attr, return-value]
