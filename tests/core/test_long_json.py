"""Long answers are parsed within bounds: those of real servers are read, floods are refused."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import Any

import pytest

from core import strict_json
from core.long_json import ANSWER, AT_ONCE, REQUEST, TooManyValues, loads
from tests.holding import longest_hold

pytestmark = pytest.mark.one_database


def logprobs(tokens: int) -> bytes:
    """An answer with the likeliest alternatives of each token."""
    alternative = {"token": "a", "logprob": -0.1, "bytes": [97]}
    content = [{**alternative, "top_logprobs": [alternative] * 20}] * tokens
    return json.dumps({"choices": [{"index": 0, "logprobs": {"content": content}}]}).encode()


@pytest.mark.slow
@pytest.mark.one_database
def test_long_answers_of_real_servers() -> None:
    data = logprobs(2000)
    assert loads(data) == json.loads(data)
    vectors = json.dumps({"data": [{"embedding": [0.25] * 1536}] * 500}).encode()
    assert len(loads(vectors)["data"]) == 500


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b"1,", b'"",', b'{"a":1},', b'{"choices":[]},', b'[1,"\\""],']
)
def test_floods_are_refused(piece: bytes) -> None:
    with pytest.raises(TooManyValues):
        loads(b"[" + piece * (ANSWER.values + 1) + b"1]")


def test_an_object_of_very_many_names_is_refused() -> None:
    pairs = b",".join(b'"%x":1' % number for number in range(AT_ONCE + 1))
    with pytest.raises(TooManyValues):
        loads(b"{" + pairs + b"}")


def test_what_stands_in_strings_does_not_count() -> None:
    text = '{"a": [1, {}]}, ' * AT_ONCE
    assert loads(json.dumps({"content": text}).encode()) == {"content": text}


def test_what_is_no_json() -> None:
    many = b'[{"a":1}' + b',{"a":1}' * AT_ONCE
    for data in (b"", b"{", many, many + b",NaN]", b"[" * AT_ONCE * 2 + b"]" * AT_ONCE * 2):
        with pytest.raises(ValueError):
            loads(data)


@pytest.fixture(scope="module")
def rare_collections() -> None:
    """The collector doesn't look through what other tests have loaded, as it doesn't in the server
    (gateway/dataplane/runtime.py).
    """
    gc.collect()
    gc.freeze()


MIB = 1024 * 1024
MOST = 0.05  # seconds


def keeps_nobody_waiting(work: Callable[[], Any]) -> bool:
    """Measured up to ten times: other programs make memory slow, and keep the thread that watches
    from its turn. What holds the interpreter does so each time.
    """
    return any(longest_hold(work, ValueError) < MOST for _try in range(10))


LONG_REQUESTS: dict[str, Callable[[], bytes]] = {
    "names": lambda: b"{" + b",".join(b'"%x":0' % number for number in range(490_000)) + b"}",
    "as many names as are read": lambda: (
        b"{" + b",".join(b'"%x":0' % number for number in range(REQUEST.members - 2)) + b"}"
    ),
    "objects": lambda: b"[" + b'{"role":"user"},' * (REQUEST.members // 2 - 2) + b"1]",
    "tokens": lambda: b"[" + b"1," * (REQUEST.values - 2) + b"1]",
    "a long text": lambda: b'{"a":"' + b"a" * 31 * MIB + b'"}',
    "a long text with an emoji": lambda: b'{"a":"\xf0\x9f\x98\x80' + b"a" * 31 * MIB + b'"}',
    "an emoji beside pictures": lambda: b'["\xf0\x9f\x98\x80", "' + b"a" * 30 * MIB + b'"]',
    "escapes": lambda: b'{"a":"' + b"\\n" * 15 * MIB + b'"}',
    "nothing": lambda: b'{"a":' + b" " * 31 * MIB + b"1}",
}


@pytest.mark.slow
@pytest.mark.usefixtures("rare_collections")
@pytest.mark.parametrize("name", LONG_REQUESTS)
def test_a_long_request_keeps_nobody_waiting(name: str) -> None:
    request = LONG_REQUESTS[name]()
    assert keeps_nobody_waiting(lambda: strict_json.loads(request))


@pytest.mark.slow
@pytest.mark.usefixtures("rare_collections")
@pytest.mark.parametrize("piece", [b'{"a":1},', b"[],", b'"a",', b"0.123456789,", b'[{"a":[]}],'])
def test_a_long_answer_keeps_nobody_waiting(piece: bytes) -> None:
    for members in (AT_ONCE, ANSWER.members):
        count = min(members // 5, 15 * MIB // len(piece))
        data = b"[" + piece * count + b"1]"
        assert keeps_nobody_waiting(lambda data=data: loads(data))  # type: ignore[misc]  # the loop's variable is bound
