"""AutoGen's assistant."""

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from check import BASE, CITIES, KEY, MODEL, SAYS, check, expect, expect_cities, get_weather

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": ModelFamily.UNKNOWN,
}


def client() -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model=MODEL, base_url=BASE, api_key=KEY, model_info=INFO)


@check("text")
async def _() -> None:
    answer = await client().create([UserMessage(content="hi", source="user")])
    expect(answer.content, SAYS)


@check("stream")
async def _() -> None:
    stream = client().create_stream([UserMessage(content="hi", source="user")])
    expect("".join([piece async for piece in stream if isinstance(piece, str)]), SAYS)


@check("tools")
async def _() -> None:
    agent = AssistantAgent("a", client(), tools=[get_weather], max_tool_iterations=4)
    expect_cities((await agent.run(task=CITIES)).messages[-1].to_text())
