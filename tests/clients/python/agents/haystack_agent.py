"""Haystack's generators, agent and embedder."""

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
    get_weather,
)
from haystack.components.agents import Agent
from haystack.components.embedders import OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret

AT = {"api_base_url": BASE, "api_key": Secret.from_token(KEY)}
generator = OpenAIChatGenerator(model=MODEL, **AT)


@check("text")
def _() -> None:
    expect(generator.run([ChatMessage.from_user("hi")])["replies"][0].text, SAYS)


@check("stream")
def _() -> None:
    pieces = []
    generator.run(
        [ChatMessage.from_user("hi")], streaming_callback=lambda piece: pieces.append(piece.content)
    )
    expect("".join(pieces), SAYS)


@check("tools")
def _() -> None:
    agent = Agent(chat_generator=generator, tools=[create_tool_from_function(get_weather)])
    run = agent.run(messages=[ChatMessage.from_user(CITIES)])
    expect_cities(run["messages"][-1].text)


@check("embeddings")
def _() -> None:
    assert OpenAITextEmbedder(model=EMBEDDINGS, **AT).run("a")["embedding"]
