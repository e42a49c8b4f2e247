"""Whose request it is: what proxies say of it, and what clients pretend."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.asgi.forwarded import Forwarded

pytestmark = pytest.mark.one_database

PROXY, CLIENT = "127.0.0.1", "203.0.113.9"


def seen(
    *forwarded: str,
    peer: str | None = PROXY,
    trusted: tuple[str, ...] = ("127.0.0.1", "10.0.0.0/8"),
    scheme: str = "",
    trust_scheme: bool = False,
) -> tuple[str | None, str]:
    """The client and scheme that the application behind it sees."""
    found: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    headers = [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded]
    if scheme:
        headers.append((b"x-forwarded-proto", scheme.encode()))
    scope = {"type": "http", "headers": headers, "scheme": "http"}
    scope["client"] = (peer, 4321) if peer is not None else None
    asyncio.run(Forwarded(application, trusted, trust_scheme=trust_scheme)(scope, None, None))  # type: ignore[arg-type]
    client = found["client"]
    return client[0] if client else None, found["scheme"]


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (CLIENT, CLIENT),
        ("198.51.100.1, 203.0.113.9", CLIENT),
        ("203.0.113.9, 10.1.2.3", CLIENT),
        ("10.1.2.3, 10.4.5.6", "10.1.2.3"),
        ("203.0.113.9:5678", CLIENT),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", CLIENT),
        ("203.0.113.9, not-an-ip", PROXY),
        ("not-an-ip", PROXY),
        ("203.0.113.9, ', 10.1.2.3", "10.1.2.3"),
        ("'; DROP TABLE x;--", PROXY),
        ("fe80::1%eth0", PROXY),
        ("unix:", PROXY),
        ("\x00x", PROXY),
        ("a" * 300, PROXY),
        ("203.0.113.9," * 500, PROXY),
        ("1.2.3", PROXY),
        ("", PROXY),
    ],
)
def test_the_client_is_always_an_address(header: str, client: str) -> None:
    assert seen(header)[0] == client


def test_repeated_headers_are_one_list() -> None:
    assert seen("198.51.100.1", "203.0.113.9")[0] == CLIENT


def test_only_proxies_are_believed() -> None:
    assert seen("198.51.100.1", peer=CLIENT, scheme="https") == (CLIENT, "http")
    assert seen("198.51.100.1", peer="::ffff:127.0.0.1", scheme="https")[0] == "198.51.100.1"
    assert seen("198.51.100.1", peer=None) == (None, "http")
    assert seen("198.51.100.1", trusted=()) == (PROXY, "http")


def test_trusting_whoever_connects_trusts_what_they_added_only() -> None:
    assert seen("198.51.100.1, 203.0.113.9", peer="192.0.2.1", trusted=("*",))[0] == CLIENT


@pytest.mark.parametrize(
    ("scheme", "seen_scheme"), [("https", "https"), ("http", "http"), ("https,http", "http")]
)
def test_the_scheme(scheme: str, seen_scheme: str) -> None:
    assert seen(scheme=scheme)[1] == seen_scheme
    assert seen(peer=CLIENT, scheme=scheme, trust_scheme=True)[1] == seen_scheme
    assert seen(peer=CLIENT, scheme=scheme)[1] == "http"
