"""No body is read to its end before somebody looks at how long it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from core.asgi.body_limit import BODY_LIMIT, BodyLimit

PIECE = bytes(64 * 1024)


def post(
    pieces: Iterable[bytes],
    *,
    path: str = "/accounts/login/",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Any:
    """(bytes that were taken from the client, bytes the application got, status or None, body of
    the answer).
    """
    waiting = iter(pieces)
    taken = got = 0
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal taken
        piece = next(waiting, b"")
        taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal got
        while (message := await receive())["more_body"]:
            got += len(message["body"])

    asyncio.run(
        BodyLimit(application)({"type": "http", "path": path, "headers": headers}, receive, send)
    )
    return taken, got, sent[0]["status"] if sent else None, sent[1]["body"] if sent else b""


def test_a_body_within_the_limit_goes_through() -> None:
    pieces = [PIECE] * (BODY_LIMIT // len(PIECE))
    assert post(pieces) == (BODY_LIMIT, BODY_LIMIT, None, b"")


def test_an_endless_body_is_left_at_the_limit() -> None:
    taken, got, status, body = post(PIECE for _number in range(10_000))
    assert (got, status) == (BODY_LIMIT, 413)
    assert taken == BODY_LIMIT + len(PIECE)
    assert b"too large" in body


@pytest.mark.parametrize("length", [b"2097153", b"9" * 400])
def test_a_body_that_is_announced_too_long_is_not_read_at_all(length: bytes) -> None:
    taken, _got, status, body = post(
        [PIECE], path="/api/v1/workspace/", headers=((b"content-length", length),)
    )
    assert (taken, status) == (0, 413)
    error = json.loads(body)["error"]
    assert (error["code"], error["type"], len(error["request_id"])) == (
        "too_large",
        "invalid_request_error",
        24,
    )
