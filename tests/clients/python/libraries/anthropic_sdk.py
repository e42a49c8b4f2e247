"""anthropic-sdk-python at the door of Messages."""

from anthropic import Anthropic, beta_tool
from check import (
    CITIES,
    KEY,
    MODEL,
    ROOT,
    SAYS,
    check,
    expect,
    expect_cities,
    expect_reasoning,
    get_weather,
)
from pydantic import BaseModel

client = Anthropic(base_url=ROOT, api_key=KEY, max_retries=0)
THINKING = {"type": "adaptive"}


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    answer = client.messages.create(
        model=MODEL, max_tokens=99, messages=[{"role": "user", "content": "hi"}]
    )
    expect(answer.content[-1].text, SAYS)


@check("stream")
def _() -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=99, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        expect("".join(stream.text_stream), SAYS)


@check("tools")
def _() -> None:
    runner = client.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=4000,
        tools=[beta_tool(get_weather)],
        messages=[{"role": "user", "content": CITIES}],
        thinking=THINKING,
    )
    text = runner.until_done().content[-1].text
    expect_cities(text)
    expect_reasoning("Anthropic", text)


@check("structured output")
def _() -> None:
    answer = client.messages.parse(
        model=MODEL,
        max_tokens=99,
        messages=[{"role": "user", "content": "hi"}],
        output_format=Trip,
    )
    assert answer.parsed_output is not None
    assert answer.parsed_output.city


@check("count tokens")
def _() -> None:
    counted = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "hi"}]
    )
    assert counted.input_tokens > 0
