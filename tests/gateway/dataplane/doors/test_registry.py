"""Doors: which one answers a path, and which requests go to a provider as they were sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.dataplane import answers
from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.openai import OpenAI
from gateway.dataplane.doors.registry import DOORS, ENDPOINTS, door_of
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.routing.targets import Target
from models_catalog.resolution.entries import PriceHistory
from providers.declaration.errors import CannotExpress
from providers.declaration.registry import get
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    Frame,
    ModelFacts,
    Operation,
    Provider,
    Request,
)
from providers.operations.table import OPERATIONS
from providers.transport.steps import exchange_for
from tests.gateway.dataplane.test_relay import call_of


class Upside(OpenAI):
    """A door whose messages stand in `text`."""

    name = "upside"
    converts = True

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        if "text" not in asked.body:
            raise CannotExpress("No text.", param="text")
        return {"messages": [{"role": "user", "content": asked.body["text"]}]}


def native(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    assert request.native is not None
    yield from ()
    return Answer(None, content=request.native.data + request.model.encode())


def target(**changes: Any) -> Target:
    provider = replace(get("openai"), **changes)
    return Target(provider, "theirs", ModelFacts(), PriceHistory(), ())


def request(body: dict[str, Any]) -> GatewayRequest:
    principal = call_of().request.principal
    made = GatewayRequest(principal, Operation.CHAT, "m", body, "r1", door=Upside(), data=b"raw ")
    made.headers = {"x-kind": "new"}
    return made


def test_each_door_has_a_path_of_its_own() -> None:
    assert {endpoint.door.name for endpoint in ENDPOINTS.values()} == set(DOORS)
    assert len(ENDPOINTS) == sum(len(row.doors) for row in OPERATIONS.values())
    assert {name: door.name for name, door in DOORS.items()} == {name: name for name in DOORS}


def test_an_unknown_path_is_answered_by_openais_door() -> None:
    assert door_of("/v1/nothing", {}) is OPENAI


def test_a_provider_of_the_doors_format_gets_what_was_sent() -> None:
    speaks = target(dialects={"upside": native})
    asked = asyncio.run(answers.provider_request(request({"text": "Hi"}), speaks))
    exchange = exchange_for(speaks.provider, asked, Access({}), ModelFacts())()
    with pytest.raises(StopIteration) as ended:
        next(exchange)
    assert ended.value.value.content == b"raw theirs"
    assert asked.native is not None
    assert asked.native.headers == {"x-kind": "new"}


def test_any_other_provider_gets_the_neutral_form() -> None:
    asked = asyncio.run(answers.provider_request(request({"text": "Hi"}), target()))
    assert asked.native is None
    assert asked.body == {"messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(CannotExpress) as refused:
        asyncio.run(answers.provider_request(request({}), target()))
    assert refused.value.param == "text"


def test_a_key_is_bound_to_the_door_too() -> None:
    body = {"text": "Hi"}
    through_the_other = replace(request(body), door=OPENAI)
    assert request(body).fingerprint() != through_the_other.fingerprint()
    assert request({}).measurable() == {}


def test_frames_become_events() -> None:
    frames = [Frame(b"{1}", True), Frame(b"{2}", usage_only=True)]
    for include_usage, expected in (
        (True, b"data: {1}\n\ndata: {2}\n\n"),
        (False, b"data: {1}\n\n"),
    ):
        asked = replace(request({}).asked(), include_usage=include_usage)
        writer = OPENAI.writer(Operation.CHAT, asked, native=False)
        assert writer.write(frames) == expected
        assert writer.end({}) == b"data: [DONE]\n\n"
