"""litellm as a client of an OpenAI-compatible proxy, and of Anthropic's format."""

import litellm
from check import BASE, CITY, EMBEDDINGS, KEY, MODEL, ROOT, SAYS, check, expect, get_weather
from pydantic import BaseModel

AT = {"api_base": BASE, "api_key": KEY, "num_retries": 0}
HI = [{"role": "user", "content": "hi"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    answer = litellm.completion(model=f"openai/{MODEL}", messages=HI, **AT)
    expect(answer.choices[0].message.content, SAYS)


@check("text (Anthropic)")
def _() -> None:
    answer = litellm.completion(
        model=f"anthropic/{MODEL}", messages=HI, api_base=ROOT, api_key=KEY, num_retries=0
    )
    expect(answer.choices[0].message.content, SAYS)


@check("stream")
def _() -> None:
    stream = litellm.completion(model=f"openai/{MODEL}", messages=HI, stream=True, **AT)
    expect("".join(chunk.choices[0].delta.content or "" for chunk in stream), SAYS)


@check("tools")
def _() -> None:
    messages = [{"role": "user", "content": CITY}]
    answer = litellm.completion(model=f"openai/{MODEL}", messages=messages, tools=[TOOL], **AT)
    message = answer.choices[0].message
    messages.append(message.model_dump())
    for call in message.tool_calls:
        result = get_weather("Paris")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    answer = litellm.completion(model=f"openai/{MODEL}", messages=messages, tools=[TOOL], **AT)
    expect(answer.choices[0].message.content, get_weather("Paris"))


@check("structured output")
def _() -> None:
    answer = litellm.completion(model=f"openai/{MODEL}", messages=HI, response_format=Trip, **AT)
    assert Trip.model_validate_json(answer.choices[0].message.content).city


@check("embeddings")
def _() -> None:
    answer = litellm.embedding(model=f"openai/{EMBEDDINGS}", input=["a", "b"], **AT)
    assert len(answer.data) == 2
