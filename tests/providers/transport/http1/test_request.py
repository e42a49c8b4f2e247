"""Heads of requests: nothing in a name, value or URL may become another line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.declaration.spec import Call
from providers.transport.egress import Refused
from providers.transport.http1.request import head_of, target_of

ALLOW = frozenset({"http://[::1]:9001", "http://127.0.0.1:9001"})
URL = "https://api.example.org/v1/chat?x=1"


def head(call: Call) -> list[str]:
    return head_of(call, target_of(call.url, ALLOW)).decode().split("\r\n")


def test_a_request_says_what_it_must_and_no_more() -> None:
    call = Call("POST", URL, {"Authorization": "Bearer k"}, b"{}")
    assert head(call) == [
        "POST /v1/chat?x=1 HTTP/1.1",
        "Host: api.example.org",
        "User-Agent: modelkeep",
        "Accept-Encoding: identity",
        "Authorization: Bearer k",
        "Content-Length: 2",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://api.example.org", "api.example.org", "/"),
        ("https://api.example.org:443/a?b#c", "api.example.org", "/a?b"),
        ("http://127.0.0.1:9001/a", "127.0.0.1:9001", "/a"),
        ("http://[::1]:9001/a", "[::1]:9001", "/a"),
        ("https://API.Example.org/%C3%A9", "api.example.org", "/%C3%A9"),
    ],
)
def test_where_a_call_goes(url: str, authority: str, path: str) -> None:
    target = target_of(url, ALLOW)
    assert (target.authority, target.path) == (authority, path)
    assert "[" not in target.host


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_length_is_told_where_a_body_is_expected(method: str) -> None:
    lines = head(Call(method, URL))
    assert ("Content-Length: 0" in lines) == (method != "GET")


@pytest.mark.parametrize("url", ["https://a.example/a b", "https://a.example/é", "ftp://a.example"])
def test_a_url_that_is_not_quoted_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        target_of(url, ALLOW)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_adds_a_line(name: str, value: str) -> None:
    call = Call("POST", URL, {name: value}, b"{}")
    try:
        lines = head_of(call, target_of(URL, ALLOW)).split(b"\r\n")
    except (ValueError, UnicodeEncodeError):
        return
    assert len(lines) <= 8
    assert not any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines)
