"""Reasoning between <think> tags, whole and cut anywhere."""

from __future__ import annotations

import itertools
import time
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.declaration.spec import Reply
from providers.wire.openai.errors import openai_errors
from providers.wire.thinking.streams import thinking_stream_of, unopened
from providers.wire.thinking.tags import (
    ThinkSplitter,
    split_thinking,
    split_whole,
    tidy_thinking,
)
from tests.providers.driving import joined

TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think", ">", "\n", " ", "a", "é"]),
    max_size=12,
).map("".join)
CHUNKS = Reply(200, {"content-type": "text/event-stream"})


@pytest.mark.parametrize(
    ("whole", "reasoning", "text"),
    [
        ("Hello", "", "Hello"),
        ("", "", ""),
        ("<think>\nhm\n</think>\n\nHello\n", "hm\n", "Hello\n"),
        ("\n<think>hm</think>Hello", "hm", "Hello"),
        ("<think>\n\n</think>\n\nHello", "", "Hello"),
        ("<think>never closed </thin", "never closed </thin", ""),
        ("<think>a <think> b</think>c</think>d", "a <think> b", "c</think>d"),
        ("<thin", "", "<thin"),
        ("<thinking>x</thinking>", "", "<thinking>x</thinking>"),
        ("Write <think>x</think>", "", "Write <think>x</think>"),
        (" " * 65 + "<think>x</think>", "", " " * 65 + "<think>x</think>"),
        ("<think>a</</think>b", "a</", "b"),
        ("  ", "", "  "),
    ],
)
def test_whole(whole: str, reasoning: str, text: str) -> None:
    assert split_thinking(whole) == (reasoning, text)


@pytest.mark.parametrize(
    ("whole", "reasoning", "text"),
    [
        ("The user greets me.\n</think>\n\nHello", "The user greets me.", "Hello"),
        ("Hm.</think>\nHello </think>\n", "Hm.", "Hello </think>\n"),
        ("Hm.\n</think>", "Hm.", ""),
        ("<think>hm</think>\nHello", "hm", "Hello"),
        ("Write `</think>` to end it.", "", "Write `</think>` to end it."),
        (
            "Between <think> and\n</think>\n it thinks.",
            "",
            "Between <think> and\n</think>\n it thinks.",
        ),
    ],
)
def test_the_opening_tag_may_be_missing_in_a_whole_answer(
    whole: str, reasoning: str, text: str
) -> None:
    assert split_whole(whole) == (reasoning, text)


def test_long_runs_of_blanks_take_no_time() -> None:
    text = "a" + " " * 100_000 + "b"
    began = time.process_time()
    assert split_whole(text) == ("", text)
    assert time.process_time() - began < 0.5


def cut(text: str, places: list[int]) -> list[str]:
    at = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(at)]


@given(text=TEXTS, places=st.lists(st.integers(0, 100), max_size=8))
def test_cutting_changes_nothing(text: str, places: list[int]) -> None:
    splitter = ThinkSplitter()
    parts = [splitter.feed(piece) for piece in cut(text, places)] + [splitter.finish()]
    assert (
        "".join(part[0] for part in parts),
        "".join(part[1] for part in parts),
    ) == split_thinking(text)


@given(text=TEXTS)
def test_nothing_is_lost_but_tags_and_blanks(text: str) -> None:
    reasoning, said = split_thinking(text)
    if not text.lstrip().startswith("<think>"):
        assert (reasoning, said) == ("", text)
    else:
        inner, _, rest = text.lstrip().removeprefix("<think>").partition("</think>")
        assert (reasoning, said) == (inner.lstrip(), rest.lstrip())


def chunk(index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def streamed(
    chunks: list[dict[str, Any]], *, end: bytes = b"data: [DONE]\n\n", forgets: bool = True
) -> tuple[dict[str, Any], int]:
    if forgets:
        unopened.clear()
    decoder = thinking_stream_of(openai_errors(), model="m")
    frames = [
        frame for one in chunks for frame in decoder.feed(b"data: " + orjson.dumps(one) + b"\n\n")
    ]
    frames += [*decoder.feed(end), *decoder.finish()]
    message = joined([orjson.loads(frame.data) for frame in frames])
    return message, decoder.output_characters


@example(text="<think>a<think>", places=[7, 8, 9], ends=False)
@example(text="<think>ab</think> c", places=[7, 8, 17, 18], ends=False)
@example(text="<think>ab</think>cd", places=[7, 8, 18], ends=False)
@given(text=TEXTS, places=st.lists(st.integers(0, 100), max_size=8), ends=st.booleans())
def test_streams_say_what_whole_answers_say(text: str, places: list[int], ends: bool) -> None:
    chunks = [chunk(content=piece) for piece in cut(text, places)]
    if ends:
        chunks.append({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    message, characters = streamed(chunks)
    reasoning, said = split_thinking(text)
    assert (message.get("reasoning_content") or "", message["content"] or "") == (reasoning, said)
    assert characters == len(reasoning) + len(said)


def test_a_server_that_tells_reasoning_apart_is_left_alone() -> None:
    message, _characters = streamed(
        [
            chunk(content=""),
            chunk(reasoning_content="hm"),
            chunk(content="<think>"),
            chunk(content="x"),
        ]
    )
    assert (message["reasoning_content"], message["content"]) == ("hm", "<think>x")


def test_choices_are_parted_each_for_itself() -> None:
    decoder = thinking_stream_of(openai_errors(), model="m")
    pieces = [
        chunk(content="plain"),
        chunk(1, content="<think>a"),
        chunk(content="<think>"),
        chunk(1, content="b</think>c"),
    ]
    frames = [
        frame for one in pieces for frame in decoder.feed(b"data: " + orjson.dumps(one) + b"\n\n")
    ]
    deltas = [orjson.loads(frame.data)["choices"][0]["delta"] for frame in frames]
    assert deltas == [
        {"role": "assistant", "content": "plain"},
        {"role": "assistant", "content": "", "reasoning_content": "a"},
        {"content": "<think>"},
        {"content": "c", "reasoning_content": "b"},
    ]


def test_one_body_instead_of_a_stream() -> None:
    body = {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "<think>a</think>b"},
                "finish_reason": "stop",
            }
        ]
    }
    decoder = thinking_stream_of(openai_errors(), model="m")
    decoder.feed(orjson.dumps(body))
    message = joined([orjson.loads(frame.data) for frame in decoder.finish()])
    assert (message["reasoning_content"], message["content"]) == ("a", "b")


@pytest.mark.parametrize(
    "message",
    [
        None,
        "text",
        {"content": None},
        {"content": [1]},
        {"content": "<think>a", "reasoning_content": "b"},
    ],
)
def test_messages_without_tags_stay(message: Any) -> None:
    body = {"choices": [{"message": message}]}
    assert not tidy_thinking(body)
    assert body == {"choices": [{"message": message}]}


def test_a_server_that_left_out_the_tag_is_expected_to_do_so_again() -> None:
    thought = [chunk(content=piece) for piece in ("I add 2 and 2.", "\n</think>\n\n", "4")]
    end = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    message, _characters = streamed([*thought, end])
    assert message["content"] == "I add 2 and 2.\n</think>\n\n4"

    message, _characters = streamed([*thought, end], forgets=False)
    assert (message["reasoning_content"], message["content"]) == ("I add 2 and 2.\n", "4")
    message, _characters = streamed([chunk(content="Four."), end], forgets=False)
    assert message["content"] == "Four."
    message, _characters = streamed([chunk(content="Five."), end], forgets=False)
    assert "reasoning_content" not in message
