"""LangChain's agents with ChatOpenAI (chat completions and Responses) and with ChatAnthropic."""

from check import (
    BASE,
    CITIES,
    EMBEDDINGS,
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
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

chat = ChatOpenAI(model=MODEL, base_url=BASE, api_key=KEY, max_retries=0)
thinking = ChatOpenAI(
    model=MODEL, base_url=BASE, api_key=KEY, max_retries=0, reasoning_effort="medium"
)
responses = ChatOpenAI(
    model=MODEL,
    base_url=BASE,
    api_key=KEY,
    max_retries=0,
    reasoning={"effort": "medium"},
    store=False,
    include=["reasoning.encrypted_content"],
)
claude = ChatAnthropic(
    model=MODEL,
    base_url=ROOT,
    api_key=KEY,
    max_retries=0,
    max_tokens=4000,
    thinking={"type": "adaptive"},
)


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


def answer_of_agent(model: ChatOpenAI | ChatAnthropic) -> str:
    agent = create_agent(model, tools=[get_weather])
    final = agent.invoke({"messages": [{"role": "user", "content": CITIES}]})
    return str(final["messages"][-1].text)


@check("text")
def _() -> None:
    expect(chat.invoke("hi").text, SAYS)


@check("stream")
def _() -> None:
    expect("".join(str(chunk.text) for chunk in chat.stream("hi")), SAYS)


@check("tools (chat)")
def _() -> None:
    text = answer_of_agent(thinking)
    expect_cities(text)
    expect_reasoning("chat", text)


@check("tools (Responses)")
def _() -> None:
    text = answer_of_agent(responses)
    expect_cities(text)
    expect_reasoning("Responses", text)


@check("tools (Anthropic)")
def _() -> None:
    text = answer_of_agent(claude)
    expect_cities(text)
    expect_reasoning("Anthropic", text)


@check("structured output")
def _() -> None:
    trip = chat.with_structured_output(Trip).invoke("hi")
    assert isinstance(trip, Trip), trip


@check("embeddings")
def _() -> None:
    embeddings = OpenAIEmbeddings(
        model=EMBEDDINGS, base_url=BASE, api_key=KEY, check_embedding_ctx_length=False
    )
    assert len(embeddings.embed_documents(["a", "b"])) == 2
