"""Whatever answer a provider gives, OpenAI's SDK reads it as a chat, strictly."""

from __future__ import annotations

import httpx2
import openai
import pytest
from hypothesis import given, settings
from openai.types.chat import ChatCompletion

from gateway.dataplane.doors.openai import DOOR
from providers.declaration.spec import Answer, Operation
from tests.gateway.dataplane.doors.made import Made, answers, frames, whole, written
from tests.gateway.dataplane.test_relay import call_of

pytestmark = pytest.mark.one_database
ASKED = call_of().request.asked()


def sdk(content: bytes, kind: str) -> openai.OpenAI:
    reply = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, content=content, headers={"content-type": kind})
    )
    return openai.OpenAI(
        base_url="http://hub.test/v1",
        api_key="k",
        http_client=httpx2.Client(transport=reply),
        _strict_response_validation=True,
    )


def streamed(content: bytes) -> ChatCompletion:
    """Put an answer together; the SDK raises one that was cut off."""
    with (
        sdk(content, "text/event-stream") as client,
        client.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        try:
            return stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
            return stream.current_completion_snapshot


def check(answer: ChatCompletion, made: Made) -> None:
    """Compare what the SDK read with the neutral answer it came from."""
    [choice] = answer.choices
    message, usage = choice.message, answer.usage
    assert (message.role, choice.finish_reason) == ("assistant", made["finish"])
    assert (message.content or "", message.refusal or "") == (made["text"], made["refusal"])
    assert message.model_extra is not None
    assert message.model_extra.get("reasoning_content", "") == made["thought"]
    calls = [call for call in message.tool_calls or () if call.type == "function"]
    read = [(call.id, call.function.name, call.function.arguments) for call in calls]
    assert read == written(made)
    fresh, cached, thought, said = made["counts"]
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (fresh + cached, thought + said)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == cached
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == thought


@given(answers)
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_the_sdk_reads_any_answer(made: Made) -> None:
    with sdk(DOOR.write(Answer(whole(made)), {}, ASKED), "application/json") as client:
        check(client.chat.completions.create(model="m", messages=[]), made)
    writer = DOOR.writer(Operation.CHAT, ASKED, native=False)
    check(streamed(b"".join(map(writer.write, ([f] for f in frames(made)))) + writer.end({})), made)
