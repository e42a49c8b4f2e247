"""The strict loader reads what json reads, or refuses."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.long_json import PIECE, REQUEST, outside_strings
from core.strict_json import LONG, LONGEST_TEXT, MOST_ESCAPES, BadJSON, loads

MOST_VALUES = REQUEST.values

_text = st.text(st.characters(exclude_categories=("Cs",)))
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner) | st.dictionaries(_text, inner), max_leaves=30
)

# A machine that is busy with other things is no reason to fail.
patient = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@patient
@given(_values, st.booleans(), st.sampled_from([None, 2]))
def test_everything_json_writes_is_read_back(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert loads(data) == value


@patient
@given(st.text(st.sampled_from('{}[]",:0123456789.eE+-\\u dtrufalsn\x00\ud83dNI\n')))
def test_never_reads_more_or_other_than_json(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        ours = loads(data)
    except BadJSON:
        return
    assert ours == json.loads(data)
    assert json.dumps(ours, allow_nan=False, ensure_ascii=False).encode()


@patient
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadJSON):
        assert json.dumps(loads(data), allow_nan=False)


@patient
@given(st.dictionaries(_text, st.integers(), min_size=1), st.data())
def test_a_key_that_stands_twice_is_refused_wherever_it_is(
    members: dict[str, int], data: st.DataObject
) -> None:
    again = data.draw(st.sampled_from(sorted(members)))
    pairs = [*members.items(), (again, 0)]
    text = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"
    for wrapped in (text, f"[{text}]", f'{{"outer": {text}}}'):
        with pytest.raises(BadJSON, match="twice"):
            loads(wrapped.encode())


def test_the_same_key_spelled_with_an_escape_is_a_repeat_too() -> None:
    with pytest.raises(BadJSON, match="twice"):
        loads(rb'{"model": 1, "\u006dodel": 2}')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"1 2",
        b"NaN",
        b'{"a": Infinity}',
        b"[-Infinity]",
        b"1e400",
        b"-1e400",
        b"1" * 41,
        b"0." + b"0" * 40,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\x00"',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
        b"\x80\x04K\x01.",
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(BadJSON):
        loads(data)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return opening * depth + (b"" if opening == b"[" else b"1") + closing * depth

    assert loads(nested(64))
    assert loads(nested(3), max_depth=3)
    for depth, limit in ((65, 64), (4, 3), (900, 64), (70_000, 64)):
        with pytest.raises(BadJSON, match="deep"):
            loads(nested(depth), max_depth=limit)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert loads(b"[" + b"[]," * 5000 + b"{}]") == [[]] * 5000 + [{}]


@pytest.mark.parametrize("piece", [b"1,", b"[],", b"{},", b'"",', b'[1,"\\"",'])
def test_a_flood_of_values_is_refused_before_they_are_made(piece: bytes) -> None:
    with pytest.raises(BadJSON, match="values"):
        loads(b"[" + piece * MOST_VALUES + b"1]")


def test_commas_and_brackets_inside_of_strings_are_no_values() -> None:
    text = '[{,"\\' * MOST_VALUES
    assert loads(json.dumps([text, 1]).encode()) == [text, 1]
    assert len(loads(b"[" + b"1," * (MOST_VALUES - 2) + b"1]")) == MOST_VALUES - 1


def test_escaped_pairs_and_plain_characters_mean_the_same() -> None:
    assert loads(rb'"\ud83d\ude00"') == loads('"\U0001f600"'.encode()) == "\U0001f600"


def test_numbers_keep_their_kind() -> None:
    one, whole, fraction = loads(b"[1, 1.0, 1e2]")
    assert (type(one), type(whole), type(fraction)) == (int, float, float)
    assert loads(str(2**128).encode()) == 2**128
    assert math.isclose(loads(b"0.1"), 0.1)


def test_the_message_quotes_nothing_of_the_body() -> None:
    for data in (b'{"api_key": sk-secret}', b'"sk-secret', b'{"sk-secret": 1, "sk-secret": 2}'):
        with pytest.raises(BadJSON) as caught:
            loads(data)
        assert "sk-secret" not in caught.value.message


_SPACE = b" " * LONG  # what makes a text a long one, which another parser reads


@patient
@given(_values)
def test_a_long_text_is_read_like_a_short_one(value: Any) -> None:
    data = json.dumps([value]).encode()
    assert loads(data + _SPACE) == loads(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'[{"\\u0061": 1, "a": 2}]', "twice"),
        (b'["a": 1]', "Not valid JSON"),
        (b"[NaN]", "not JSON|Not valid JSON"),
        (b"[1e400]", "too large"),
        (b"[" + b"1" * 41 + b"]", "longer than"),
        (b'["\\ud800"]', "Not valid JSON"),
        (b'["\xff"]', "UTF-8|Not valid JSON"),
        (b"[" * 65 + b"]" * 65, "deep"),
        (b"[" * 2000 + b"]" * 2000, "deep"),
    ],
)
def test_a_long_text_is_read_as_strictly(data: bytes, message: str) -> None:
    for text in (data, data + _SPACE):
        with pytest.raises(BadJSON, match=message):
            loads(text)


def test_numbers_of_a_long_text_keep_their_value() -> None:
    assert loads(b"[%d, 0.1, 1e2, %d]" % (2**63, 2**100) + _SPACE) == [2**63, 0.1, 1e2, 2**100]
    for number in (2**64 - 1, 2**64, -(2**63), -(2**63) - 1, -(10**19) + 1):
        assert loads(b"[%d]" % number + _SPACE) == [number]


def test_a_long_text_may_hold_long_strings_but_not_much_else() -> None:
    assert loads(b'["' + b"a" * 2 * LONGEST_TEXT + b'"]') == ["a" * 2 * LONGEST_TEXT]
    for data in (
        b"[" + b" " * LONGEST_TEXT + b"1]",
        b'["\xc3\xa4' + b"a" * LONGEST_TEXT + b'"]',
        b"[" + b"1" * 30 + b',"' + b"a" * LONGEST_TEXT + b'"]',
    ):
        with pytest.raises(BadJSON):
            loads(data)


def test_many_names_are_refused_before_they_are_made() -> None:
    pairs = b",".join(b'"%x":1' % number for number in range(REQUEST.members + 1))
    with pytest.raises(BadJSON, match="names"):
        loads(b"{" + pairs + b"}")


@pytest.mark.parametrize("piece", [rb"\\", rb"\"", b":", rb"\n"])
def test_strings_are_skipped_across_the_pieces(piece: bytes) -> None:
    string = b'"' + piece * (PIECE // len(piece) + 1) + b'"'
    text = b"{" + string + b":[1," + string + b"]}"
    assert outside_strings(text, REQUEST) == b"{:[1,]}"


def test_very_many_escapes() -> None:
    with pytest.raises(BadJSON, match="escapes"):
        loads(b'{"a": "' + b"\\n" * (MOST_ESCAPES + 1) + b'"}')
    assert loads(b'{"a": "' + b"\\n" * 200_000 + b'"}') == {"a": "\n" * 200_000}
