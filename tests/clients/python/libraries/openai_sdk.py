"""openai-python at the doors of chat completions and of Responses."""

from check import (
    BASE,
    CITIES,
    EMBEDDINGS,
    KEY,
    MODEL,
    SAYS,
    check,
    expect,
    expect_cities,
    expect_reasoning,
    get_weather,
)
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    expect(client.responses.create(model=MODEL, input="hi").output_text, SAYS)


@check("stream")
def _() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    expect(message.content, SAYS)
    assert message.role == "assistant", message.role


@check("tools (Responses)")
def _() -> None:
    tool = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
    items = [{"role": "user", "content": CITIES}]
    for _turn in range(3):
        answer = client.responses.create(
            model=MODEL,
            input=items,
            tools=[tool],
            store=False,
            reasoning={"effort": "medium"},
            include=["reasoning.encrypted_content"],
        )
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        for item in answer.output:
            if item.type == "function_call":
                result = get_weather("Rome" if "Rome" in item.arguments else "Paris")
                output = {"type": "function_call_output", "call_id": item.call_id}
                items.append({**output, "output": result})
    expect_cities(answer.output_text)
    expect_reasoning("Responses", answer.output_text)


@check("tools (chat)")
def _() -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    messages = [{"role": "user", "content": CITIES}]
    for _turn in range(3):
        answer = client.chat.completions.create(
            model=MODEL, messages=messages, tools=[tool], reasoning_effort="medium"
        )
        message = answer.choices[0].message
        # Only what OpenAI's format has: as applications copy it.
        calls = [call.model_dump() for call in message.tool_calls or []]
        plain = {"role": "assistant", "content": message.content, "tool_calls": calls}
        messages.append(plain)
        for call in message.tool_calls or []:
            result = get_weather("Rome" if "Rome" in call.function.arguments else "Paris")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    expect_cities(message.content)
    expect_reasoning("chat", message.content)


@check("structured output")
def _() -> None:
    trip = client.responses.parse(model=MODEL, input="hi", text_format=Trip).output_parsed
    assert trip is not None
    assert trip.city


@check("embeddings")
def _() -> None:
    answer = client.embeddings.create(model=EMBEDDINGS, input=["a", "b"])
    assert len(answer.data) == 2
