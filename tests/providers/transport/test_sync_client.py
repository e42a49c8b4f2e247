"""The synchronous transport against a real local server that misbehaves."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

import pytest
import requests

from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Access, Call, ModelFacts, Operation, Request
from providers.transport import sync_client
from providers.transport.failures import TransportFailure
from providers.transport.limits import SYNC_POOLS
from providers.transport.steps import exchange_for
from tests.fakes.provider import TEXT, FakeProvider
from tests.gateway.dataplane.test_garbage import garbage, is_ours

KEY = "sk-client-0123456789abcdef"
pytestmark = pytest.mark.usefixtures("closed_sessions")


def chat(
    fake: FakeProvider,
    mode: str = "",
    *,
    seconds: float = 5.0,
    base_url: str = "",
    pool_key: str = "t1:c1",
) -> str:
    provider = registry.get("openai")
    access = Access({"api_key": KEY}, base_url or fake.url)
    request = Request(
        Operation.CHAT,
        f"m@{mode}" if mode else "m",
        {"messages": [{"role": "user", "content": "Hi"}]},
    )
    make = exchange_for(provider, request, access, ModelFacts())
    answer = sync_client.perform(
        make,
        provider=provider,
        pool_key=pool_key,
        secrets=[KEY],
        deadline=time.monotonic() + seconds,
    )
    text: str = answer.body["choices"][0]["message"]["content"]  # type: ignore[union-attr, index]
    return text


def failure(*arguments: Any, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        chat(*arguments, **options)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_call(fake_provider: FakeProvider) -> None:
    assert chat(fake_provider) == TEXT
    [seen] = fake_provider.calls
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"] == "modelkeep"


@pytest.mark.parametrize(
    ("mode", "expected", "sent"),
    [
        ("status:401", Failure.AUTH, False),
        ("status:500", Failure.ERROR, True),
        ("close", Failure.ERROR, True),
        ("break", Failure.ERROR, True),
        ("endless", Failure.ERROR, True),
        ("long_line", Failure.ERROR, True),
        ("gzip:bomb", Failure.ERROR, True),
        ("html", Failure.NOT_AN_API, True),
        ("redirect:http://127.0.0.1:1/", Failure.NOT_AN_API, False),
        ("body:200:nope", Failure.ERROR, True),
        ("body:404:<html>", Failure.NOT_AN_API, False),
    ],
)
def test_misbehaviour(
    fake_provider: FakeProvider, mode: str, expected: Failure, sent: bool
) -> None:
    error = failure(fake_provider, mode)
    assert (error.failure, error.sent) == (expected, sent)
    assert fake_provider.count == 1


def test_a_compressed_answer_is_read_although_nobody_asked_for_it(
    fake_provider: FakeProvider,
) -> None:
    assert chat(fake_provider, "gzip") == TEXT


@pytest.mark.parametrize("mode", ["hang", "slow:30", "drip:0.02"])
def test_the_total_time_is_kept_whatever_drips(fake_provider: FakeProvider, mode: str) -> None:
    started = time.monotonic()
    error = failure(fake_provider, mode, seconds=0.6)
    assert error.failure is Failure.TIMEOUT
    assert 0.5 < time.monotonic() - started < 1.5


def test_silence_is_limited(fake_provider: FakeProvider, settings: Any) -> None:
    settings.MODELKEEP_IDLE_TIMEOUT = 0.3
    started = time.monotonic()
    assert failure(fake_provider, "hang", seconds=30).failure is Failure.TIMEOUT
    assert time.monotonic() - started < 2


def test_a_short_retry_after_is_followed(fake_provider: FakeProvider) -> None:
    fake_provider.script("status:503:0", "status:429:0", "ok")
    assert chat(fake_provider) == TEXT
    assert fake_provider.count == 3


def test_a_redirect_gets_no_second_request_and_no_key(fake_provider: FakeProvider) -> None:
    assert (
        failure(fake_provider, f"redirect:{fake_provider.url}/elsewhere").failure
        is Failure.NOT_AN_API
    )
    assert fake_provider.count == 1


def test_nothing_is_taken_from_the_environment(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password stolen\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert chat(fake_provider) == TEXT
    assert fake_provider.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_private_addresses_are_refused_without_the_operators_leave(
    fake_provider: FakeProvider, settings: Any
) -> None:
    settings.MODELKEEP_EGRESS_ALLOW = []
    assert failure(fake_provider).failure is Failure.NOT_AN_API
    settings.MODELKEEP_EGRESS_ALLOW = [
        fake_provider.url.replace("http:", "https:"),
        "http://127.0.0.1:1",
    ]
    assert failure(fake_provider).failure is Failure.NOT_AN_API
    assert fake_provider.count == 0


class Names:
    """Stands in for the resolver: a list of addresses per look-up, the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_more: Any, **_options: Any) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]


def test_a_public_name_that_points_inside_gets_nothing(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for addresses in (
        ["127.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["169.254.169.254"],
        ["192.0.0.192"],
    ):
        monkeypatch.setattr(socket, "getaddrinfo", Names(addresses))
        error = failure(fake_provider, base_url="https://models.example.com")
        assert error.failure is Failure.NOT_AN_API
        assert not error.sent
    assert fake_provider.count == 0


def test_one_look_up_per_connection(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """A name that is changed between check and use finds no gap: what was checked is what is
    connected to.
    """
    url = f"http://models.example.com:{fake_provider.port}"
    settings.MODELKEEP_EGRESS_ALLOW = [url]
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    assert chat(fake_provider, base_url=url) == TEXT
    assert names.asked == ["models.example.com"]
    assert chat(fake_provider, base_url=url) == TEXT  # the same connection
    assert names.asked == ["models.example.com"]
    assert (
        failure(fake_provider, base_url=url, pool_key="t2:c2").failure is Failure.NOT_AN_API
    )  # another tenant's connection
    assert names.asked == ["models.example.com"] * 2


def test_a_slow_resolver_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, settings: Any, fake_provider: FakeProvider
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: time.sleep(2))
    settings.MODELKEEP_CONNECT_TIMEOUT = 0.2
    started = time.monotonic()
    error = failure(fake_provider, base_url="https://models.example.com")
    assert (error.failure, error.transport) == (Failure.UNREACHABLE, "connect_timeout")
    assert time.monotonic() - started < 1.5


def test_a_server_that_is_down_is_tried_three_times(
    settings: Any, monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    pauses: list[float] = []
    monkeypatch.setattr(sync_client.time, "sleep", pauses.append)
    settings.MODELKEEP_EGRESS_ALLOW = [url]
    error = failure(fake_provider, base_url=url)
    assert (error.failure, error.transport, error.sent) == (Failure.UNREACHABLE, "connect", False)
    assert len(pauses) == 2


def test_a_server_without_tls(
    fake_provider: FakeProvider, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fake_provider.url.replace("http:", "https:")
    settings.MODELKEEP_EGRESS_ALLOW = [url]
    monkeypatch.setattr(sync_client.time, "sleep", lambda _seconds: None)
    error = failure(fake_provider, base_url=url)
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)
    assert "TLS" in error.message
    assert fake_provider.count == 0


def test_a_key_that_would_break_a_header_is_not_sent(fake_provider: FakeProvider) -> None:
    call = Call(
        "GET", f"{fake_provider.url}/v1/models", {"Authorization": f"Bearer {KEY}\r\nX-Evil: 1"}
    )
    with pytest.raises(TransportFailure) as caught:
        sync_client.send(call, pool_key="t", deadline=time.monotonic() + 5)
    assert KEY not in str(caught.value)
    assert fake_provider.count == 0


def test_streams_are_not_its_business(fake_provider: FakeProvider) -> None:
    with pytest.raises(ValueError, match="Streams"):
        sync_client.send(
            Call("GET", fake_provider.url, stream=True), pool_key="t", deadline=time.monotonic() + 5
        )


def test_sessions_are_few() -> None:
    for number in range(SYNC_POOLS + 5):
        sync_client._session(f"t:{number}")
    assert len(sync_client._sessions) == SYNC_POOLS
    assert sync_client._session("t:9") is sync_client._session("t:9")


@pytest.mark.slow  # it collects garbage
@pytest.mark.parametrize("mode", ["close", "break", "status:500", "status:429", "html", "down"])
def test_a_failure_leaves_no_garbage(
    fake_provider: FakeProvider, settings: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """It would hold the body until the garbage collector comes by."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}" if mode == "down" else ""
    monkeypatch.setattr(sync_client.time, "sleep", lambda _seconds: None)
    settings.MODELKEEP_EGRESS_ALLOW = [url or fake_provider.url]

    def fail() -> None:
        with suppress(ProviderError):
            chat(fake_provider, mode, base_url=url)

    fail()  # what is made once
    with garbage() as found:
        fail()
    bodies = (Call, requests.PreparedRequest, bytes)
    assert [thing for thing in found if is_ours(thing) or isinstance(thing, bodies)] == []
