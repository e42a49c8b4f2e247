"""Fetched tokens: one call for many uses, none after their end, none for another secret."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import orjson
import pytest

from providers.declaration.spec import Call, Reply
from providers.wire import tokens
from providers.wire.tokens import fetched_token, forget_token

ASK = Call("POST", "https://login.example.com/token")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    tokens._tokens.clear()
    yield
    tokens._tokens.clear()


def read(reply: Reply) -> tuple[str, float]:
    body = orjson.loads(reply.body)
    return body["access_token"], body["expires_in"]


def ask(
    parts: tuple[str, ...], *, now: float, answer: str = "t1", lives: float = 3600
) -> tuple[str, bool]:
    """(token, whether a call was made)."""
    exchange: Generator[Call, Reply, str] = fetched_token(parts, ASK, read, clock=lambda: now)
    try:
        assert next(exchange) is ASK
    except StopIteration as stop:
        return stop.value, False
    with pytest.raises(StopIteration) as stopped:
        exchange.send(Reply(200, {}, orjson.dumps({"access_token": answer, "expires_in": lives})))
    return stopped.value.value, True


def test_it_is_fetched_once_and_again_shortly_before_its_end() -> None:
    mine = ("https://login.example.com", "id", "secret")
    assert ask(mine, now=0) == ("t1", True)
    assert ask(mine, now=3539) == ("t1", False)
    assert ask(mine, now=3541, answer="t2") == ("t2", True)


def test_who_does_not_know_the_secret_gets_no_token() -> None:
    assert ask(("a", "id", "secret"), now=0) == ("t1", True)
    assert ask(("a", "id", "guess"), now=0, answer="t2") == ("t2", True)
    assert ask(("a", "idsecret", ""), now=0, answer="t3") == ("t3", True)
    assert ask(("a", "id", "secret"), now=0) == ("t1", False)


def test_a_forgotten_one_is_fetched_anew() -> None:
    mine = ("a", "b")
    ask(mine, now=0)
    forget_token(mine)
    assert ask(mine, now=1, answer="t2") == ("t2", True)


def test_a_token_that_hardly_lives_is_not_kept() -> None:
    assert ask(("a",), now=0, lives=30) == ("t1", True)
    assert ask(("a",), now=0, answer="t2", lives=30) == ("t2", True)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    for name in ("a", "b", "c"):
        ask((name,), now=0)
    assert ask(("c",), now=1) == ("t1", False)
    assert ask(("a",), now=1, answer="t2") == ("t2", True)
