"""Mirascope's calls."""

from check import BASE, CITY, KEY, MODEL, SAYS, check, expect, get_weather
from mirascope import llm
from pydantic import BaseModel

llm.register_provider("openai:completions", scope="modelkeep/", base_url=BASE, api_key=KEY)
# It takes what stands between the first two slashes for the name.
NAME = f"modelkeep/{MODEL.partition('/')[2]}"
model = llm.Model(NAME)


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    expect(model.call("hi").text(), SAYS)


@check("stream")
def _() -> None:
    expect("".join(model.stream("hi").text_stream()), SAYS)


@check("tools")
def _() -> None:
    answer = model.call(CITY, tools=[llm.tool(get_weather)])
    answer = answer.resume(answer.execute_tools())
    expect(answer.text(), get_weather("Paris"))


@check("structured output")
def _() -> None:
    assert isinstance(model.call("hi", format=Trip).parse(), Trip)
