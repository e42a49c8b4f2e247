"""smolagents' agent that calls tools."""

from check import BASE, CITIES, KEY, MODEL, SAYS, WEATHER, check, expect, get_weather
from smolagents import OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel(model_id=MODEL, api_base=BASE, api_key=KEY)
HI = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


@check("text")
def _() -> None:
    expect(model.generate(HI).content, SAYS)


@check("stream")
def _() -> None:
    expect("".join(delta.content or "" for delta in model.generate_stream(HI)), SAYS)


@check("tools")
def _() -> None:
    agent = ToolCallingAgent(tools=[tool(get_weather)], model=model, max_steps=4, verbosity_level=0)
    agent.run(f'{CITIES} CALL:final_answer:{{"answer": "done"}}END')
    expect(agent.memory.get_full_steps(), WEATHER + "Paris", WEATHER + "Rome")
