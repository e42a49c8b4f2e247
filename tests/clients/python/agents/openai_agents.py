"""OpenAI's Agents SDK, which speaks Responses by default."""

from agents import (
    Agent,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)
from check import BASE, CITIES, KEY, MODEL, SAYS, check, expect, expect_cities, get_weather
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

client = AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0)
set_default_openai_client(client, use_for_tracing=False)
set_tracing_disabled(True)
# A model's name with a slash would be read as "provider/model" of the SDK's own.
model = OpenAIResponsesModel(model=MODEL, openai_client=client)


class Trip(BaseModel):
    city: str
    days: int


@check("text")
async def _() -> None:
    run = await Runner.run(Agent(name="a", model=model), "hi")
    expect(run.final_output, SAYS)


@check("stream")
async def _() -> None:
    run = Runner.run_streamed(Agent(name="a", model=model), "hi")
    pieces = [
        event.data.delta
        async for event in run.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    expect("".join(pieces), SAYS)


@check("tools")
async def _() -> None:
    agent = Agent(name="a", model=model, tools=[function_tool(get_weather)])
    expect_cities((await Runner.run(agent, CITIES)).final_output)


@check("structured output")
async def _() -> None:
    run = await Runner.run(Agent(name="a", model=model, output_type=Trip), "hi")
    assert isinstance(run.final_output, Trip)
