"""The Responses door of a running server: converted, passed on, refused and recorded."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest

from tests.gateway.conftest import Hub
from tests.gateway.dataplane.test_errors import refused

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

DEMO = "demo/demo-chat"
WHOLE = {
    "id": "resp_1",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


def test_a_provider_of_another_format_answers(hub: Hub) -> None:
    response = hub.sdk().responses.create(model=DEMO, input="Hello")
    assert response.output_text
    with hub.sdk().responses.stream(model=DEMO, input="Hello") as stream:
        assert stream.get_final_response().output_text == response.output_text


def test_a_conversation_of_ids_goes_on(hub: Hub) -> None:
    with hub.sdk().responses.stream(model=DEMO, input="Hello") as stream:
        output = stream.get_final_response().output
    references: list[Any] = [{"type": "item_reference", "id": item.id} for item in output]
    question = {"role": "user", "content": "And?"}
    answer = hub.sdk().responses.create(model=DEMO, input=[*references, question])
    assert answer.output_text
    with pytest.raises(openai.BadRequestError) as caught:
        hub.sdk().responses.create(
            model=DEMO, input=[{"type": "item_reference", "id": "msg_1"}, question]
        )
    assert caught.value.param == "input[0].id"


def test_a_provider_of_the_format_gets_and_gives_the_same_bytes(hub: Hub) -> None:
    hub.fake.mode = "body:200:" + orjson.dumps(WHOLE).decode()
    sent = b'{"model": "openai/gpt-4o-mini",  "input": "Hi", "store": false, "unknown": 1}'
    response = hub.post("/responses", data=sent, headers={"content-type": "application/json"})
    assert response.content == orjson.dumps(WHOLE)
    call = hub.fake.calls[-1]
    assert call.path.endswith("/responses")
    assert call.body == sent.replace(b"openai/gpt-4o-mini", b"gpt-4o-mini")
    record = hub.record(response)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (3, 2)
    assert record["usage_source"] == "reported"


def test_errors_are_in_openais_shape(hub: Hub) -> None:
    body = {"model": DEMO, "input": "Hi"}
    error = refused(hub.post("/responses", body | {"background": True}), 400, "invalid_request")
    assert error["param"] == "background"
    error = refused(
        hub.post("/responses", body | {"previous_response_id": "resp_1"}), 400, "invalid_request"
    )
    assert error["param"] == "previous_response_id"
    hub.fake.mode = "status:429:2"
    response = hub.post("/responses", {"model": "openai/gpt-4o-mini", "input": "Hi"})
    refused(response, 429, "provider_rate_limited")
