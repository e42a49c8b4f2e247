"""The rule of outbound calls: hostile hosts and spellings, special addresses, mixed and changing
answers.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.transport import egress
from providers.transport.addresses import is_public
from providers.transport.egress import (
    Refused,
    check_address,
    check_url,
    normalise_base_url,
    resolve_checked,
)
from providers.transport.failures import TransportFailure

ALLOW = frozenset({"http://127.0.0.1:9001", "http://models.lan:8000"})


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("https://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        ("  api.z.ai/api/paas/v4\n", "https://api.z.ai/api/paas/v4"),
        ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://[2606:4700:0:0:0:0:0:1111]", "https://[2606:4700::1111]"),
        ("https://münchen.de", "https://xn--mnchen-3ya.de"),
        ("https://ｅｘａｍｐｌｅ.com", "https://example.com"),
        ("https://１２７.０.０.１", "https://127.0.0.1"),
        ("https://127。0。0。1", "https://127.0.0.1"),
        ("https://①②⑦.0.0.①", "https://127.0.0.1"),
        ("https://example.com.", "https://example.com"),
        ("HTTPS://example.com/A b".replace(" ", ""), "https://example.com/Ab"),
        ("http://example.com:80/x//".rstrip("/"), "http://example.com/x"),
    ],
)
def test_one_spelling(typed: str, normal: str) -> None:
    assert normalise_base_url(typed) == normal
    assert normalise_base_url(normal) == normal


HOSTILE = [
    "",
    "https://",
    "https://[",
    "https://[::1",
    "https://[fe80::1%25eth0]",
    "https://[fe80::1%eth0]",
    "https://[v1.x]",
    "ftp://example.com",
    "file:///etc/passwd",
    "gopher://example.com",
    "javascript://example.com/%0aalert(1)",
    "https://user@example.com",
    "https://user:pw@example.com",
    "https://example.com@127.0.0.1",
    "https://example.com\\@127.0.0.1",
    "https://example.com?x=1",
    "https://example.com?",
    "https://example.com#x",
    "https://example.com/a b",
    "https://exam\tple.com",
    "https://example.com\x00.evil.com",
    "https://example.com\r\nHost: x",
    "https://exam\u200bple.com",
    "https://example.com/../admin",
    "https://example.com/%2e%2E/admin",
    "https://example.com/a/%2E/b",
    "https://example.com//evil",
    "https://example.com:0",
    "https://example.com:65536",
    "https://example.com:8a",
    "https://example.com:٨٠",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://017700000001",
    "https://0177.0.0.1",
    "https://127.1",
    "https://127.0.1",
    "https://127.0.0.1.1",
    "https://256.1.1.1",
    "https://1.2.3.4.0x5",
    "https://a..b",
    "https://.example.com",
    "https://-a.com",
    "https://exa_mple!.com",
    "https://" + "a" * 64 + ".com",
    "https://" + "a." * 160 + "com",
    "https://%31%32%37.0.0.1",
    "https://xn--/",
]


@pytest.mark.parametrize("typed", HOSTILE)
def test_hostile_spellings(typed: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise_base_url(typed)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value.reason)


@given(st.text(max_size=60))
def test_any_text_is_refused_or_has_one_plain_spelling(text: str) -> None:
    for typed in (text, f"https://{text}", f"https://example.com/{text}"):
        try:
            normal = normalise_base_url(typed)
        except Refused:
            continue
        assert normalise_base_url(normal) == normal
        assert normal.isascii()
        assert not set(normal) & set(' \\@?#\t\r\n"<>')
        assert normal.startswith(("http://", "https://"))
        assert egress.origin(normal).count(":") >= 2


@given(st.ip_addresses(v=4))
def test_numbers_in_other_spellings_never_pass(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    octets = address.packed
    for host in (
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(map(hex, octets)),
        f"{octets[0]}.{number & 0xFFFFFF}",
    ):
        with pytest.raises(Refused):
            normalise_base_url(f"https://{host}")


SPECIAL = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "127.0.0.1", "127.255.255.255", "168.63.129.16",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9",
    "192.0.0.170", "192.0.0.192", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.175.48.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
    "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::1",
    "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1", "2606:4700::1%eth0",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
]


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(Refused):
        check_address(address, origin="https://example.com:443", allow=ALLOW)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    check_address(address, origin="https://example.com:443", allow=())


@given(st.ip_addresses())
def test_ours_is_stricter_than_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://1.1.1.1",
        "https://[2606:4700::1111]/x",
        "http://127.0.0.1:9001/v1/chat/completions",
        "http://models.lan:8000",
    ],
)
def test_urls_that_may_be_called(url: str) -> None:
    check_url(url, allow=ALLOW, tenant_typed=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com",
        "https://api.openai.com:8443",
        "http://127.0.0.1:9002",
        "https://127.0.0.1:9001",
        "http://127.0.0.1",
        "http://localhost:9001",
        "https://localhost",
        "https://intranet",
        "https://printer.local",
        "https://metadata.google.internal",
        "https://db.corp",
        "https://10.0.0.1",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://169.254.169.254/latest/meta-data",
        "https://user@api.openai.com",
        "http://127.0.0.1:9001@evil.example.com",
        "ws://127.0.0.1:9001",
    ],
)
def test_urls_that_may_not(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, allow=ALLOW, tenant_typed=True)


def test_a_providers_own_url_may_have_another_port() -> None:
    check_url("https://api.example.com:8443", allow=(), tenant_typed=False)
    with pytest.raises(Refused):
        check_url("http://api.example.com", allow=(), tenant_typed=False)


def test_an_allowed_origin_reaches_private_addresses_but_never_the_metadata_service() -> None:
    check_address("127.0.0.1", origin="http://127.0.0.1:9001", allow=ALLOW)
    check_address("10.0.0.7", origin="http://models.lan:8000", allow=ALLOW)
    check_address("fd00::7", origin="http://models.lan:8000", allow=ALLOW)
    for address in (
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "fe80::1",
        "::ffff:169.254.169.254",
        "168.63.129.16",
    ):
        with pytest.raises(Refused):
            check_address(address, origin="http://models.lan:8000", allow=ALLOW)
    with pytest.raises(Refused):
        check_address("10.0.0.7", origin="http://models.lan:8001", allow=ALLOW)


def answers(*addresses: str) -> Any:
    def look_up(_host: str, port: int, *_more: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    return look_up


def resolve(*addresses: str) -> Any:
    return resolve_checked(
        "example.com",
        443,
        origin="https://example.com:443",
        allow=ALLOW,
        look_up=answers(*addresses),
    )


def test_all_answers_must_be_public() -> None:
    assert [answer[4][0] for answer in resolve("1.1.1.1", "2606:4700::1111")] == [
        "1.1.1.1",
        "2606:4700::1111",
    ]
    for mixed in (
        ("1.1.1.1", "127.0.0.1"),
        ("127.0.0.1", "1.1.1.1"),
        ("1.1.1.1", "::1"),
        ("1.1.1.1", "64:ff9b::a00:1"),
        ("nonsense",),
    ):
        with pytest.raises(Refused):
            resolve(*mixed)


def test_a_name_without_an_address() -> None:
    def unknown(*_arguments: Any) -> Any:
        raise socket.gaierror("secret detail")

    for look_up in (unknown, answers()):
        with pytest.raises(TransportFailure) as caught:
            resolve_checked(
                "example.com", 443, origin="https://example.com:443", allow=(), look_up=look_up
            )
        assert (caught.value.kind, caught.value.sent) == ("dns", False)
        assert "secret" not in str(caught.value.reason)


def test_origins() -> None:
    assert egress.origin("https://Example.com/v1") == "https://example.com:443"
    assert egress.origin("http://[::1]:8000/x") == "http://[::1]:8000"
    assert egress.is_allowed("http://models.lan:8000", {" http://MODELS.lan:8000/ "})
    assert not egress.is_allowed("http://models.lan:8000", set())
