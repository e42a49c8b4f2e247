"""One reader of usage for all dialects: what counts, wherever it stands and however it is split."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from providers.adapters.anthropic import PROVIDER as ANTHROPIC
from providers.declaration.spec import Reply, Usage
from providers.wire.anthropic.decoding import MessageDecoder
from providers.wire.decoding import EventStream
from providers.wire.openai.embeddings import embedding_answer
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.stream import ChatDecoder
from providers.wire.rerank import ranking_of
from providers.wire.usage import MOST_TOKENS, later, reported_in, seconds_of, usage_in, usage_of
from quotas.ledger import records

OPENAI = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}

REPORTED: list[tuple[str, Any, Usage | None]] = [
    ("OpenAI", OPENAI, Usage(10, 5)),
    ("responses and DashScope", {"input_tokens": 10, "output_tokens": 5}, Usage(10, 5)),
    ("Replicate", {"input_token_count": 10, "output_token_count": 5}, Usage(10, 5)),
    ("floats", {"prompt_tokens": 10.0, "completion_tokens": 4.6}, Usage(10, 5)),
    ("texts", {"prompt_tokens": "10", "completion_tokens": "5"}, Usage(10, 5)),
    ("no usage", None, None),
    ("a list", [1, 2], None),
    ("empty", {}, None),
    ("nulls", {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, None),
    ("no counts", {"prompt_tokens": True, "completion_tokens": "many"}, None),
    # nonsense is left out; the total tells the rest
    ("negative", {"prompt_tokens": 11, "completion_tokens": -1, "total_tokens": 10}, Usage(11)),
    ("64 bits", {"prompt_tokens": 2**64 - 1, "completion_tokens": 7}, Usage(None, 7)),
    (
        "64 bits and a total",
        {"prompt_tokens": 2**64 - 1, "completion_tokens": 7, "total_tokens": 18},
        Usage(11, 7),
    ),
    ("infinite", {"prompt_tokens": float("inf"), "completion_tokens": float("nan")}, None),
    ("huge", {"prompt_tokens": 1e300, "completion_tokens": MOST_TOKENS + 1}, None),
    ("a total alone", {"total_tokens": 18}, Usage(total_tokens=18)),
    ("a total and the prompt", {"prompt_tokens": 10, "total_tokens": 18}, Usage(10, 8)),
    ("a total and the output", {"completion_tokens": 8, "total_tokens": 18}, Usage(10, 8)),
    ("a total that is too small", OPENAI | {"total_tokens": 3}, Usage(10, 5)),
    # cached tokens
    (
        "cached: OpenAI",
        OPENAI | {"prompt_tokens_details": {"cached_tokens": 4}},
        Usage(10, 5, 4),
    ),
    ("cached: Moonshot", OPENAI | {"cached_tokens": 4}, Usage(10, 5, 4)),
    ("cached: DeepSeek", OPENAI | {"prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
    (
        "cached: responses",
        {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
        Usage(10, 5, 4),
    ),
    (
        "cached: a relay of Anthropic in OpenAI's form",
        OPENAI | {"cache_read_input_tokens": 4, "cache_creation_input_tokens": 3},
        Usage(10, 5, 4, cache_write_tokens=3),
    ),
    (
        "cached: beside the prompt, as Anthropic",
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 3,
        },
        Usage(17, 5, 4, cache_write_tokens=3),
    ),
    (
        "cached: beside the prompt, says the total",
        OPENAI | {"cached_tokens": 4, "total_tokens": 19},
        Usage(14, 5, 4),
    ),
    (
        "cached: more than the prompt",
        {"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 40},
        Usage(50, 5, 40),
    ),
    (
        "cached for an hour: Anthropic",
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        },
        Usage(17, 5, cache_write_tokens=7, cache_write_1h_tokens=4),
    ),
    (
        "cached for minutes, in the details: DashScope",
        OPENAI | {"prompt_tokens_details": {"cache_creation": {"ephemeral_5m_input_tokens": 3}}},
        Usage(10, 5, cache_write_tokens=3),
    ),
    (
        "cached for an hour: a relay in OpenAI's form",
        OPENAI | {"cache_creation_tokens": 4, "claude_cache_creation_1_h_tokens": 4},
        Usage(10, 5, cache_write_tokens=4, cache_write_1h_tokens=4),
    ),
    # what else is billed
    (
        "audio",
        OPENAI
        | {
            "prompt_tokens_details": {"audio_tokens": 4},
            "completion_tokens_details": {"audio_tokens": 2},
        },
        Usage(10, 5, audio_input_tokens=4, audio_output_tokens=2),
    ),
    (
        "searches: Anthropic",
        OPENAI | {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}},
        Usage(10, 5, tools={"web_search": 2}),
    ),
    (
        "searches: DashScope",
        OPENAI | {"plugins": {"search": {"count": 1, "strategy": "turbo"}}},
        Usage(10, 5, tools={"web_search": 1}),
    ),
    (
        "tier and region",
        OPENAI | {"service_tier": "Priority", "inference_geo": "us"},
        Usage(10, 5, service_tier="priority", region="us"),
    ),
    (
        "the usual tier and region",
        OPENAI | {"service_tier": "standard", "inference_geo": "global", "speed": "standard"},
        Usage(10, 5),
    ),
    ("cost: OpenRouter", OPENAI | {"cost": 0.00095}, Usage(10, 5, cost=Decimal("0.00095"))),
    ("cost: nothing", OPENAI | {"cost": 0}, Usage(10, 5, cost=Decimal(0))),
    (
        "cost: xAI",
        OPENAI | {"cost_in_usd_ticks": 37756000},
        Usage(10, 5, cost=Decimal("0.0037756")),
    ),
    (
        "cost: Perplexity",
        OPENAI | {"cost": {"total_cost": 0.006, "request_cost": 0.005}},
        Usage(10, 5, cost=Decimal("0.006")),
    ),
    (
        "nonsense",
        OPENAI
        | {
            "server_tool_use": {"web_search_requests": -2},
            "service_tier": {"a": 1},
            "cost": float("nan"),
            "cache_creation": {"ephemeral_1h_input_tokens": "x"},
            "prompt_tokens_details": {"audio_tokens": "many"},
        },
        Usage(10, 5),
    ),
    # reasoning
    (
        "reasoning inside",
        OPENAI | {"completion_tokens_details": {"reasoning_tokens": 4}},
        Usage(10, 5, None, 4),
    ),
    (
        "reasoning beside",
        OPENAI | {"completion_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 19},
        Usage(10, 9, None, 4),
    ),
    ("reasoning beside, only in the total", OPENAI | {"total_tokens": 19}, Usage(10, 9)),
    (
        "reasoning beside, without a total",
        {"prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 40},
        Usage(10, 45, None, 40),
    ),
]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [pytest.param(reported, expected, id=name) for name, reported, expected in REPORTED],
)
def test_what_counts(reported: Any, expected: Usage | None) -> None:
    assert usage_of(reported) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"usage": OPENAI},
        {"usage": None, "choices": [{"index": 0, "usage": OPENAI}]},
        {"usage": {"prompt_tokens": 0, "total_tokens": 0}, "choices": [{"usage": OPENAI}]},
        {"choices": [None, {"index": 0}], "x_groq": {"id": "req", "usage": OPENAI}},
    ],
)
def test_where_it_stands(body: dict[str, Any]) -> None:
    assert usage_in(body) == Usage(10, 5)


def test_no_usage_in_whatever_stands_there() -> None:
    for body in ({}, {"usage": "12"}, {"usage": []}, {"choices": None, "x_groq": 1}):
        assert reported_in(body) is None


def test_the_bound_is_the_ledgers() -> None:
    assert records.MOST_TOKENS == MOST_TOKENS


def test_durations() -> None:
    assert [seconds_of(value) for value in (1, 2.5, 0)] == [1.0, 2.5, 0.0]
    for value in (None, True, -1, "3", float("nan"), float("inf"), 1e300):
        assert seconds_of(value) is None


# -- streams ---------------------------------------------------------------------------------------


def chunk(usage: Any, *, text: str = "", finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return head | {"choices": [choice], "usage": usage}


def fed(decoder: EventStream, events: list[dict[str, Any]]) -> Usage | None:
    for event in events:
        decoder.feed(b"data: %b\n\n" % orjson.dumps(event))
    return decoder.usage


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ([None, None, OPENAI], Usage(10, 5)),
        # cumulative
        (
            [{"prompt_tokens": 10, "completion_tokens": number} for number in (0, 1, 5)],
            Usage(10, 5),
        ),
        # later zeros and empty objects do not overwrite
        ([OPENAI, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}], Usage(10, 5)),
        ([OPENAI, {}], Usage(10, 5)),
        # piece by piece
        ([{"prompt_tokens": 10}, {"completion_tokens": 5}], Usage(10, 5)),
        (
            [
                {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}},
                OPENAI | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}},
            ],
            Usage(10, 5, 4),
        ),
    ],
)
def test_several_figures_in_a_stream(usages: list[Any], expected: Usage) -> None:
    chunks = [chunk(usage, text="Hi") for usage in usages]
    assert fed(ChatDecoder(openai_errors()), [*chunks, chunk(None, finish="stop")]) == expected


def test_usage_in_the_last_choice_of_a_stream() -> None:
    """Moonshot."""
    last = chunk(None, finish="stop")
    last["choices"][0]["usage"] = OPENAI
    assert fed(ChatDecoder(openai_errors()), [chunk(None, text="Hi"), last]) == Usage(10, 5)


def message_start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "m", "model": "c", "usage": usage}}


def text_delta(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def test_the_output_of_message_start_is_not_reported() -> None:
    decoder = MessageDecoder(ANTHROPIC.errors)
    events = [message_start(input_tokens=25, output_tokens=1), text_delta("Hello")]
    assert fed(decoder, events) == Usage(25, None, 0)
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    # Some relays report a prompt of 0 at the end.
    usage = {"input_tokens": 0, "output_tokens": 40, "cache_read_input_tokens": 0}
    assert fed(decoder, [end | {"usage": usage}]) == Usage(25, 40, 0)
    [*_frames, last] = decoder.feed(b'data: {"type": "message_stop"}\n\n')
    assert orjson.loads(last.data)["usage"]["prompt_tokens"] == 25


# -- operations without generated tokens -----------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "total_tokens": 5}, Usage(5)),
        ({"total_tokens": 5}, Usage(5)),
        ({"prompt_tokens": 0, "total_tokens": 5}, Usage(5)),
        ({"prompt_tokens": 2**70, "total_tokens": 5.0}, Usage(5)),
        ({}, None),
    ],
)
def test_a_total_alone_is_the_input_of_an_embedding(
    usage: dict[str, Any], expected: Usage | None
) -> None:
    answer = embedding_answer({"data": [{"index": 0, "embedding": [0.5]}], "usage": usage})
    assert answer.usage == expected


@pytest.mark.parametrize(
    "told",
    [
        {"usage": {"total_tokens": 7}},
        {"usage": {"prompt_tokens": 7, "total_tokens": 7}},
        {"meta": {"tokens": {"input_tokens": 7}}},
        {"meta": {"tokens": {"input_tokens": 7.0}}, "usage": {"total_tokens": -1}},
    ],
)
def test_tokens_of_a_ranking(told: dict[str, Any]) -> None:
    body = {"results": [{"index": 0, "relevance_score": 0.5}], **told}
    reply = Reply(200, {}, orjson.dumps(body))
    assert ranking_of(orjson.loads(reply.body)).tokens == 7


def test_usage_of_ever_new_names_is_not_merged_without_end() -> None:
    reported = None
    for number in range(300):
        reported = later(reported, {f"name_{number}": 1, "prompt_tokens": number + 1})
    assert reported is not None
    assert len(reported) < 250


def test_usage_nested_without_end_is_not_followed() -> None:
    deep = orjson.loads(b'{"a":' * 1000 + b"1" + b"}" * 1000)
    assert later({"details": deep}, {"details": deep, "total_tokens": 1}) == {
        "details": deep,
        "total_tokens": 1,
    }
