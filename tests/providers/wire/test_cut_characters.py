"""Characters that are cut between two pieces of a stream, or between two packets, arrive whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
import pytest

from providers.declaration.registry import get
from providers.declaration.spec import Access, ModelFacts, Operation, Reply, Request
from providers.wire.repairs.cut_characters import CutCharacters
from providers.wire.repairs.json_text import parse_leniently
from providers.wire.replicate.stream import Handle, PredictionDecoder
from tests.fakes.framing import at_once, each_byte
from tests.providers.driving import run

TEXT = "a\u00e9\u4f60\U0001f480z\U0001f600"
SSE = {"content-type": "text/event-stream"}
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n'


def streamed(pieces: Sequence[bytes], cut: Callable[..., Sequence[bytes]] = at_once) -> str:
    """What clients read of a chat whose texts are these bytes."""
    events = b"".join(CHUNK % (piece, b"null") for piece in pieces) + CHUNK % (b"", b'"stop"')
    request = Request(Operation.CHAT, "m", {"messages": [{"role": "user", "content": "Hi"}]}, True)
    access = Access({}, "http://127.0.0.1:8000/v1")
    reply = Reply(200, SSE, events + b"data: [DONE]\n\n")
    outcome = run(get("openai_compatible"), request, access, ModelFacts(), [reply], cut=cut)
    chunks = [orjson.loads(frame.data) for frame in outcome.frames]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("cut", [at_once, each_byte])
def test_bytes_of_a_character_in_two_pieces(cut: Callable[..., Sequence[bytes]]) -> None:
    data = TEXT.encode()
    for middle in range(1, len(data)):
        assert streamed([b"So: ", data[:middle], data[middle:]], cut) == "So: " + TEXT


def test_every_byte_in_a_piece_of_its_own() -> None:
    assert streamed([bytes([byte]) for byte in TEXT.encode()]) == TEXT


def test_halves_of_a_pair_in_two_pieces() -> None:
    assert streamed([rb"\ud83d", rb"\udc80!"]) == "\U0001f480!"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([b"\xe4\xbd", b"x"], "\ufffdx"),
        ([b"\xa0", b"x"], "\ufffdx"),
        ([b"\xff\xfe", b"x"], "\ufffd\ufffdx"),
        ([rb"\udc80", b"x"], "\ufffdx"),
        ([b"\xc0\x80x"], "\ufffd\ufffdx"),
    ],
)
def test_a_part_without_the_others_is_marked(pieces: list[bytes], text: str) -> None:
    assert streamed(pieces) == text


def test_texts_in_different_places_are_not_mixed() -> None:
    cut = CutCharacters()
    first = parse_leniently(b'{"a":"\xe4\xbd","b":"\xf0\x9f"}', cut.joined)
    second = parse_leniently(b'{"b":"\x92\x80","a":"\xa0"}', cut.joined)
    assert (first, second) == ({"a": "", "b": ""}, {"a": "\u4f60", "b": "\U0001f480"})
    assert not cut.held


def test_replicates_pieces_are_bytes_of_a_text() -> None:
    handle = Handle("https://api.replicate.com/v1/predictions/p", {})
    decoder = PredictionDecoder({"id": "p"}, handle, "m", is_open=True)
    pieces = [bytes([byte]) for byte in TEXT.encode()]
    frames = [
        frame
        for piece in pieces
        for frame in decoder.feed(b"event: output\ndata: " + piece + b"\n\n")
    ]
    deltas = [orjson.loads(frame.data)["choices"][0]["delta"] for frame in frames]
    assert "".join(delta["content"] for delta in deltas) == TEXT
