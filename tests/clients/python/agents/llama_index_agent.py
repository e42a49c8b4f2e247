"""LlamaIndex's model, agent and embeddings: Responses and chat completions."""

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
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike, OpenAILikeResponses
from pydantic import BaseModel

# Its classes for OpenAI itself refuse names of models that OpenAI doesn't have.
AT = {
    "model": MODEL,
    "api_base": BASE,
    "api_key": KEY,
    "max_retries": 0,
    "is_chat_model": True,
    "is_function_calling_model": True,
}


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


@check("text")
def _() -> None:
    expect(OpenAILike(**AT).complete("hi").text, SAYS)


@check("stream")
def _() -> None:
    expect("".join(piece.delta or "" for piece in OpenAILike(**AT).stream_complete("hi")), SAYS)


@check("text (Responses)")
def _() -> None:
    expect(OpenAILikeResponses(**AT).complete("hi").text, SAYS)


@check("tools")
async def _() -> None:
    llm = OpenAILike(**AT)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(get_weather)], llm=llm)
    expect_cities(await agent.run(CITIES))


@check("structured output")
def _() -> None:
    trip = OpenAILike(**AT).as_structured_llm(Trip).complete("hi").raw
    assert isinstance(trip, Trip), trip


@check("embeddings")
def _() -> None:
    embedding = OpenAIEmbedding(model_name=EMBEDDINGS, api_base=BASE, api_key=KEY)
    assert embedding.get_text_embedding("a")
