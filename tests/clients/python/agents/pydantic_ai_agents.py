"""pydantic-ai's agents: Responses, its default, and chat completions."""

from check import BASE, CITIES, KEY, MODEL, SAYS, check, expect, expect_cities, get_weather
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=BASE, api_key=KEY)
model = OpenAIResponsesModel(MODEL, provider=provider)


class Trip(BaseModel):
    city: str
    days: int


@check("text")
def _() -> None:
    expect(Agent(model).run_sync("hi").output, SAYS)


@check("stream")
async def _() -> None:
    async with Agent(model).run_stream("hi") as run:
        expect(await run.get_output(), SAYS)


@check("tools")
def _() -> None:
    agent = Agent(model, tools=[get_weather], model_settings={"openai_reasoning_effort": "medium"})
    expect_cities(agent.run_sync(CITIES).output)


@check("tools (chat)")
def _() -> None:
    agent = Agent(OpenAIChatModel(MODEL, provider=provider), tools=[get_weather])
    expect_cities(agent.run_sync(CITIES).output)


@check("structured output")
def _() -> None:
    trip = Agent(model, output_type=Trip).run_sync("hi").output
    assert isinstance(trip, Trip)
