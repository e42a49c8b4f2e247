"""agno's agent: chat completions and Responses."""

from agno.agent import Agent
from agno.models.openai import OpenAIChat, OpenAIResponses
from check import BASE, CITIES, KEY, MODEL, SAYS, check, expect, expect_cities, get_weather
from pydantic import BaseModel

AT = {"id": MODEL, "base_url": BASE, "api_key": KEY}


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    expect(Agent(model=OpenAIChat(**AT), telemetry=False).run("hi").content, SAYS)


@check("stream")
def _() -> None:
    run = Agent(model=OpenAIChat(**AT), telemetry=False).run("hi", stream=True)
    expect("".join(str(event.content or "") for event in run), SAYS)


@check("tools (chat)")
def _() -> None:
    agent = Agent(model=OpenAIChat(**AT), tools=[get_weather], telemetry=False)
    expect_cities(agent.run(CITIES).content)


@check("tools (Responses)")
def _() -> None:
    agent = Agent(model=OpenAIResponses(**AT), tools=[get_weather], telemetry=False)
    expect_cities(agent.run(CITIES).content)


@check("structured output")
def _() -> None:
    agent = Agent(model=OpenAIChat(**AT), output_schema=Trip, telemetry=False)
    assert isinstance(agent.run("hi").content, Trip)
