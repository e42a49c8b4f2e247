"""Strands' agent, which streams all answers."""

from check import BASE, CITIES, KEY, MODEL, SAYS, check, expect, expect_cities, get_weather
from pydantic import BaseModel
from strands import Agent, tool
from strands.models.openai import OpenAIModel

model = OpenAIModel(client_args={"base_url": BASE, "api_key": KEY}, model_id=MODEL)


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


@check("stream")
def _() -> None:
    expect(Agent(model=model, callback_handler=None)("hi"), SAYS)


@check("tools")
def _() -> None:
    agent = Agent(model=model, tools=[tool(get_weather)], callback_handler=None)
    expect_cities(agent(CITIES))


@check("structured output")
def _() -> None:
    agent = Agent(model=model, callback_handler=None)
    assert isinstance(agent("hi", structured_output_model=Trip).structured_output, Trip)
