"""The event-stream parser, against any cutting of the bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.declaration.errors import ProviderError
from providers.wire.sse import MAX_LINE, EventParser

LINE = st.text(
    alphabet=st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), max_size=20
)
EVENTS = st.lists(
    st.tuples(
        st.one_of(st.none(), LINE.filter(lambda name: not name.startswith(" "))),
        st.lists(LINE, min_size=1, max_size=3),
    ),
    max_size=6,
)


def written(events: list[tuple[str | None, list[str]]], end: str) -> bytes:
    lines = []
    for name, data in events:
        lines += [] if name is None else [f"event: {name}"]
        lines += [f"data: {line}" for line in data] + [""]
    return "".join(line + end for line in lines).encode()


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def parsed(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.finish()


@given(EVENTS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_written_is_read_however_it_is_cut(
    events: list[tuple[str | None, list[str]]], end: str, places: list[int]
) -> None:
    expected = [((name or "").encode(), "\n".join(data).encode()) for name, data in events]
    assert parsed(cut_at(written(events, end), places)) == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_give_the_same_events_however_they_are_cut(
    data: bytes, places: list[int]
) -> None:
    assert parsed(cut_at(data, places)) == parsed([data])


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\n\n", [(b"", b"a")]),
        (b"data:  a\n\n", [(b"", b" a")]),
        (b"data\n\n", [(b"", b"")]),
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
        (b": comment\nid: 1\nretry: 2\nfoo: bar\ndata: a\n\n", [(b"", b"a")]),
        (b"event: ping\n\ndata: a\n\n", [(b"", b"a")]),
        (b"event: x\ndata: a", [(b"x", b"a")]),
        (b"data: a\r\rdata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
        (b"database: a\n\n", []),
        # Servers that write no blank lines between events.
        (
            b'data: {"a":1}\ndata: {"a":2}\ndata: [DONE]\n',
            [(b"", b'{"a":1}'), (b"", b'{"a":2}'), (b"", b"[DONE]")],
        ),
        (
            b'event: a\ndata: {"a":1}\nevent: b\ndata: {"b":1}\n',
            [(b"a", b'{"a":1}'), (b"b", b'{"b":1}')],
        ),
        (b'data: {"a":\ndata: 1}\n\n', [(b"", b'{"a":\n1}')]),
        (b"", []),
    ],
)
def test_framing(stream: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert parsed([stream]) == expected
    assert parsed([stream[number : number + 1] for number in range(len(stream))]) == expected


@pytest.mark.parametrize("piece", [b"x" * 800_000, b"data: " + b"x" * 800_000 + b"\n"])
def test_lines_and_events_are_limited(piece: bytes) -> None:
    parser = EventParser()
    for _ in range(10):
        parser.feed(piece)
    with pytest.raises(ProviderError, match="8 MiB"):
        parser.feed(piece)


def test_a_long_line_below_the_limit_is_read() -> None:
    assert EventParser().feed(b"data: " + b"x" * (MAX_LINE - 10) + b"\n\n")
