"""Retries, error mapping and cleaning, without sockets."""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import pytest

from providers.declaration import registry
from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Call,
    ModelFacts,
    Operation,
    Reply,
    Request,
)
from providers.failures.reasons import Reason
from providers.transport.failures import FailureKind, TransportFailure
from providers.transport.redaction import clean
from providers.transport.safe_decoder import SafeDecoder
from providers.transport.steps import Done, Pause, Steps, exchange_for
from providers.wire.openai.errors import openai_errors
from tests.providers.driving import drive

KEY = "sk-proj-Zm9vYmFyYmF6cXV4"


def two_calls() -> Generator[Call, Reply, list[int]]:
    first = yield Call("POST", "https://x.example.com/token")
    second = yield Call("POST", "https://x.example.com/call")
    return [first.status, second.status]


def steps_of(
    make: Any = two_calls, *, deadline: float = 100.0, retries: int = 2, now: float = 0.0
) -> Steps[Any]:
    return Steps(
        make,
        errors=openai_errors(),
        secrets=[KEY],
        retries=retries,
        deadline=deadline,
        clock=lambda: now,
        random=lambda: 1.0,
    )


def refused(status: int, code: str = "", **headers: str) -> Reply:
    body = b'{"error":{"message":"No","code":"%s"}}' % code.encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_calls_follow_each_other() -> None:
    steps = steps_of()
    first = steps.begin()
    assert isinstance(first, Call)
    assert first.url.endswith("/token")
    assert not steps.sent
    second = steps.answered(Reply(200, {}))
    assert isinstance(second, Call)
    assert second.url.endswith("/call")
    assert steps.answered(Reply(201, {})) == Done([200, 201])
    assert (steps.sent, steps.attempts) == (True, 2)


@pytest.mark.parametrize("status", [429, 503])
def test_a_short_retry_after_is_waited_for(status: int) -> None:
    steps = steps_of()
    call = steps.begin()
    assert steps.answered(refused(status, retry_after="2")) == Pause(2.5, call)  # type: ignore[arg-type]
    assert not steps.sent
    assert isinstance(steps.answered(Reply(200, {})), Call)


def test_at_most_two_repeats() -> None:
    steps = steps_of()
    steps.begin()
    assert isinstance(steps.answered(refused(429, retry_after="0")), Pause)
    assert isinstance(steps.answered(refused(429, retry_after_ms="10")), Pause)
    with pytest.raises(ProviderError) as caught:
        steps.answered(refused(429, retry_after="0"))
    assert caught.value.failure is Failure.RATE_LIMIT
    assert steps.attempts == 3


@pytest.mark.parametrize(
    "reply",
    [
        refused(429),
        refused(429, retry_after="60"),
        refused(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        refused(429, retry_after="-1"),
        refused(429, "insufficient_quota", retry_after="1"),
        refused(429, retry_after="1", x_should_retry="false"),
        refused(500, retry_after="1"),
        refused(502, retry_after="1"),
        refused(400, retry_after="1"),
    ],
)
def test_what_is_not_repeated(reply: Reply) -> None:
    steps = steps_of()
    steps.begin()
    with pytest.raises(ProviderError):
        steps.answered(reply)


def test_no_pause_beyond_the_deadline() -> None:
    steps = steps_of(deadline=2.0)
    steps.begin()
    with pytest.raises(ProviderError):
        steps.answered(refused(429, retry_after="2"))


@pytest.mark.parametrize("kind", ["connect", "tls"])
def test_what_surely_was_not_sent_is_repeated_with_growing_pauses(kind: FailureKind) -> None:
    steps = steps_of()
    call = steps.begin()
    pauses = [steps.failed(TransportFailure(kind, Reason("connect"), sent=False)) for _ in range(2)]
    assert pauses == [Pause(0.3125, call), Pause(0.625, call)]  # type: ignore[arg-type]
    with pytest.raises(ProviderError) as caught:
        steps.failed(TransportFailure(kind, Reason("connect"), sent=False))
    assert (caught.value.failure, caught.value.sent, steps.sent) == (
        Failure.UNREACHABLE,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("kind", "sent", "failure"),
    [
        ("connect", True, Failure.UNREACHABLE),
        ("dns", False, Failure.UNREACHABLE),
        ("refused_address", False, Failure.NOT_AN_API),
        ("timeout", True, Failure.TIMEOUT),
        ("broken", True, Failure.ERROR),
        ("too_large", True, Failure.ERROR),
        ("encoding", True, Failure.ERROR),
        ("redirect", True, Failure.NOT_AN_API),
    ],
)
def test_failures_that_end_the_exchange(kind: FailureKind, sent: bool, failure: Failure) -> None:
    steps = steps_of()
    steps.begin()
    with pytest.raises(ProviderError) as caught:
        steps.failed(TransportFailure(kind, Reason("connect"), sent=sent))
    assert (caught.value.failure, caught.value.sent, steps.sent) == (failure, sent, sent)


@pytest.mark.parametrize(
    ("status", "sent"),
    [(400, False), (401, False), (429, False), (503, False), (500, True), (502, True), (504, True)],
)
def test_whether_the_request_may_have_been_processed(status: int, sent: bool) -> None:
    steps = steps_of()
    steps.begin()
    with pytest.raises(ProviderError) as caught:
        steps.answered(refused(status))
    assert (caught.value.sent, steps.sent) == (sent, sent)


def test_an_exchange_given_up_is_closed() -> None:
    closed = []

    def make() -> Generator[Call, Reply, None]:
        try:
            yield Call("GET", "https://x.example.com/")
        finally:
            closed.append(True)

    steps = steps_of(make)
    steps.begin()
    with pytest.raises(ProviderError):
        steps.answered(refused(401))
    assert closed == [True]
    steps = steps_of(make)
    steps.begin()
    steps.close()
    assert closed == [True, True]


def test_accepted_statuses_reach_the_wire() -> None:
    def make() -> Generator[Call, Reply, int]:
        return (yield Call("GET", "https://x.example.com/", accept=frozenset({404}))).status

    steps = steps_of(make)
    steps.begin()
    assert steps.answered(Reply(404, {})) == Done(404)


def test_an_operation_that_is_not_offered() -> None:
    with pytest.raises(CannotExpress) as caught:
        exchange_for(
            registry.get("anthropic"),
            Request(Operation.EMBEDDINGS, "m", {}),
            Access({}),
            ModelFacts(),
        )
    assert (caught.value.failure, caught.value.sent) == (Failure.BAD_REQUEST, False)


@pytest.mark.parametrize(
    "seen",
    [
        KEY,
        quote(f"a{KEY}&"),
        base64.b64encode(KEY.encode()).decode(),
        KEY[3:15],
        f"Bearer {KEY}",
        KEY[:-4] + "****",
    ],
)
def test_no_part_of_a_key_is_shown(seen: str) -> None:
    shown = clean(f"Incorrect key {seen} given", [KEY])
    assert "[key]" in shown
    assert not any(KEY[start : start + 8] in shown for start in range(len(KEY) - 7))
    assert shown.startswith("Incorrect key")
    assert shown.endswith("given")


SPELLINGS = {
    "reversed": KEY[::-1],
    "hex": KEY.encode().hex(),
    "hex in capitals, by twos": KEY.encode().hex(":").upper(),
    "basic authentication": base64.b64encode(f"u:{KEY}".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
    "base64 within a header": base64.b64encode(f"k={KEY}\r\n".encode()).decode(),
    "base64 after a byte": base64.b64encode(f"={KEY}".encode()).decode(),
    "spaced": " ".join(KEY),
    "with line breaks": "\n".join(KEY),
    "other case": KEY.swapcase(),
    "in pieces": "-".join(KEY[at : at + 7] for at in range(0, len(KEY), 7)),
    "percent signs": "".join(f"%{byte:02X}" for byte in KEY.encode()),
    "escapes of JSON": "".join(f"\\u{byte:04x}" for byte in KEY.encode()),
    "escapes of C": "".join(f"\\x{byte:02x}" for byte in KEY.encode()),
    "a list of bytes": str(list(KEY.encode())),
    "two bytes each": KEY.encode("utf-16-le").decode("latin-1"),
    "entities": "".join(f"&#{byte};" for byte in KEY.encode()),
    "a part, reversed": KEY[::-1][2:14],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_key_is_shown(spelling: str) -> None:
    written = SPELLINGS[spelling]
    shown = clean(f"Incorrect key <{written}>: see https://example.com/keys", [KEY])
    assert "[key]" in shown
    assert shown.startswith("Incorrect key <")
    assert shown.endswith("see https://example.com/keys")
    assert not any(written[at : at + 10] in shown for at in range(len(written) - 9)), shown


def test_what_is_no_key_is_shown_as_it_is() -> None:
    text = (
        "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000"
    )
    assert clean(text, [KEY, "sk-proj-0123456789abcdefghij"]) == text


def test_errors_of_every_step_are_cleaned() -> None:
    body = f'{{"error":{{"message":"No {KEY}","code":"{KEY}","param":"{KEY}"}}}}'.encode()
    steps = steps_of()
    steps.begin()
    with pytest.raises(ProviderError) as caught:
        steps.answered(Reply(400, {}, body))
    error = caught.value
    assert not any(
        KEY in str(text)
        for text in (error, error.message, error.provider_code, error.param, error.args)
    )


def test_texts_are_cut_and_without_control_characters() -> None:
    assert clean("a\x00b\r\n\x1b[31mc\u202ed") == "a b [31mc d"
    assert len(clean("x" * 5000)) == 301
    assert clean("short") == "short"


class Endless:
    usage = None
    finish_reason = None
    output_characters = 0
    done = False

    def feed(self, data: bytes) -> list[Any]:
        if data == b"bad":
            raise ProviderError(Failure.ERROR, f"No {KEY}")
        if data == b"odd":
            raise KeyError("choices")
        return []

    def finish(self) -> list[Any]:
        return []


def decoder() -> SafeDecoder:
    def make() -> Generator[Call, Reply, Endless]:
        yield Call("GET", "https://x.example.com/", stream=True)
        return Endless()

    steps = steps_of(make)
    steps.begin()
    done = steps.answered(Reply(200, {}, open=True))
    assert isinstance(done, Done)
    assert isinstance(done.value, SafeDecoder)
    return done.value


def test_streams_are_limited_and_cleaned() -> None:
    piece = bytes(1024 * 1024)
    stream = decoder()
    for _ in range(64):
        stream.feed(piece)
    with pytest.raises(ProviderError, match="64 MiB"):
        stream.feed(b"x")
    with pytest.raises(ProviderError, match=r"No \[key\]"):
        decoder().feed(b"bad")
    with pytest.raises(ProviderError, match="could not be read"):
        decoder().feed(b"odd")


# Waiting, ending work, asking on


def polled(times: int, *, undo: Call | None = None) -> Generator[Call, Reply, int]:
    reply = yield Call("POST", "https://x.example.com/work")
    for _number in range(times):
        reply = yield Call("GET", "https://x.example.com/work/1", delay=0.5, undo=undo)
    return reply.status


def test_a_wire_may_wait_before_a_call() -> None:
    steps = steps_of(lambda: polled(2))
    assert isinstance(steps.begin(), Call)
    for _number in range(2):
        pause = steps.answered(Reply(200, {}))
        assert isinstance(pause, Pause)
        assert (pause.seconds, pause.call.method) == (0.5, "GET")
    assert steps.answered(Reply(200, {})) == Done(200)
    assert steps.attempts == 3


def test_no_wait_beyond_the_deadline() -> None:
    cancel = Call("POST", "https://x.example.com/work/1/cancel")
    steps = steps_of(lambda: polled(1, undo=cancel), deadline=0.4)
    steps.begin()
    with pytest.raises(ProviderError) as caught:
        steps.answered(Reply(200, {}))
    assert caught.value.failure is Failure.TIMEOUT
    assert caught.value.sent
    assert steps.undo is cancel


def test_what_ends_the_work_is_known_only_while_it_goes_on() -> None:
    cancel = Call("POST", "https://x.example.com/work/1/cancel")
    steps = steps_of(lambda: polled(1, undo=cancel))
    steps.begin()
    assert steps.undo is None
    steps.answered(Reply(200, {}))
    assert steps.undo is cancel
    steps.answered(Reply(200, {}))
    assert steps.undo is None


def test_a_wire_that_reports_a_failure_leaves_nothing_to_end() -> None:
    def failing() -> Generator[Call, Reply, None]:
        yield Call(
            "GET", "https://x.example.com/work/1", undo=Call("POST", "https://x.example.com/cancel")
        )
        raise ProviderError(Failure.ERROR, "It failed.")

    steps = steps_of(failing)
    steps.begin()
    with pytest.raises(ProviderError):
        steps.answered(Reply(200, {}))
    assert steps.undo is None


def test_a_call_brings_secrets_of_its_own() -> None:
    token = "24.0123456789abcdef.2592000"

    def wire() -> Generator[Call, Reply, None]:
        yield Call("POST", f"https://x.example.com/chat?access_token={token}", secrets=(token,))

    steps = steps_of(wire)
    steps.begin()
    with pytest.raises(ProviderError) as caught:
        steps.answered(Reply(400, {}, b'{"error":{"message":"Bad token %s"}}' % token.encode()))
    assert token not in caught.value.message
    assert "[key]" in caught.value.message


def test_one_more_call_after_a_stream() -> None:
    steps = steps_of(lambda: polled(0))
    steps.begin()
    call = Call("GET", "https://x.example.com/work/1", secrets=("token-0123456789",))
    more = steps.following(call)
    assert more.begin() is call
    assert more.answered(Reply(200, {}, b"{}")) == Done(Reply(200, {}, b"{}"))
    again = steps.following(call)
    again.begin()
    with pytest.raises(ProviderError) as caught:
        again.answered(Reply(400, {}, b'{"error":{"message":"token-0123456789"}}'))
    assert caught.value.message == "[key]"


def test_a_server_without_a_version_is_found_once_and_lost_again() -> None:
    provider = registry.get("openai_compatible")
    access = Access({}, "https://unversioned.example.com/api")
    found, missing = Reply(200, {}, b'{"data": []}'), Reply(404, {}, b"404 page not found")

    def urls(*replies: Reply) -> list[str]:
        check = provider.check
        assert check is not None
        outcome = drive(lambda: check(provider, access), provider, replies, forget=False)
        return [call.url.removeprefix(access.base_url) for call in outcome.calls]

    assert urls(missing, found) == ["/v1/models", "/models"]
    assert urls(found) == ["/models"]
    assert urls(missing, found) == ["/models", "/v1/models"]
    assert urls(found) == ["/v1/models"]
