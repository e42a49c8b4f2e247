"""Forms that go to disk: any cut of the bytes gives the same, and all is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.http import HttpExchange
from gateway.dataplane.stored import forms
from gateway.dataplane.stored.forms import Form, FormWriter, receive_form
from tests.gateway.dataplane.stored.conftest import make_principal

CONTENT = bytes(range(256)) * 8 + b"\r\n--b\r\n-" + b"\r\n--"
HEAD = b'--bb\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n'


def body(content: bytes = CONTENT, *, name: bytes = b"file", ending: bytes = b"--bb--") -> bytes:
    field = HEAD % (b"purpose", b"") + b"batch\r\n"
    return field + HEAD % (name, b'; filename="a.jsonl"') + content + b"\r\n" + ending


def receive(data: bytes, *, cut: int = 10_000, content_type: str = "", **headers: str) -> Form:
    def messages() -> Iterator[dict[str, Any]]:
        for start in range(0, len(data), cut):
            yield {"type": "http.request", "body": data[start : start + cut], "more_body": True}
        yield {"type": "http.request", "body": b""}

    coming = messages()

    async def next_message() -> Any:
        return next(coming)

    async def send(_message: Any) -> None:
        raise AssertionError("nothing is answered here")

    kind = content_type or "multipart/form-data; boundary=bb"
    exchange = HttpExchange(
        {}, next_message, send, "/v1/files", {"content-type": kind, **headers}, "request", False
    )
    try:
        return asyncio.run(receive_form(exchange, make_principal()))
    finally:
        if exchange.held is not None:
            exchange.held.release()


@pytest.mark.parametrize("cut", [1, 2, 3, 97, 10_000])
def test_a_form_is_read_however_it_arrives(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr(forms, "PIECE", cut)
    form = receive(body(), cut=cut)
    assert (form.fields, form.filename, form.size) == (
        {"purpose": "batch"},
        "a.jsonl",
        len(CONTENT),
    )
    assert form.file.read() == CONTENT
    form.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_request"),
        (body()[:-6], "invalid_request"),
        (body(name=b"other"), "invalid_request"),
        (body(name=b'a\\"b'), "invalid_request"),
        (b"x" * 100, "invalid_request"),
        (body(ending=b"") + body(), "invalid_request"),
        (HEAD % (b"file", b"") + b"text\r\n--bb--", "invalid_request"),
        (HEAD % (b"purpose", b"") + b"a" * 70_000 + b"\r\n--bb--", "invalid_request"),
        ((HEAD % (b"a", b"") + b"\r\n") * 40 + b"--bb--", "invalid_request"),
        (b"--bb\r\n" + b"x" * 20_000 + b": y\r\n\r\n\r\n--bb--", "invalid_request"),
        (body(bytes(2**20 + 1)), "too_large"),
    ],
)
def test_a_bad_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: Any, data: bytes, code: str
) -> None:
    settings.MODELKEEP_FILE_LIMIT = 1
    with pytest.raises(Refusal) as caught:
        receive(data)
    assert caught.value.code == code


def test_other_types_and_long_announcements_are_refused_unread(settings: Any) -> None:
    settings.MODELKEEP_FILE_LIMIT = 1
    for content_type in ("application/json", "multipart/form-data", "multipart/form-data; x"):
        with pytest.raises(Refusal, match="multipart/form-data"):
            receive(body(), content_type=content_type)
    with pytest.raises(Refusal, match="larger than 1 MiB"):
        receive(body(), **{"content-length": str(3 * 2**20)})


def test_a_name_cannot_leave_its_header() -> None:
    for given, shown in (
        (b"../../etc/passwd", "passwd"),
        (b"C:\\\\lines.jsonl", "lines.jsonl"),
        ('测试"x'.encode().replace(b'"', b'\\"'), "测试x"),
    ):
        data = HEAD % (b"file", b'; filename="' + given + b'"') + b"a\r\n--bb--"
        form = receive(data)
        assert form.filename == shown
        writer = FormWriter({"purpose": "batch"}, shown)
        writer.copy(form.file)
        sent, content_type = writer.finish()
        sent.file.seek(0)
        again = receive(sent.file.read(), content_type=content_type)
        assert (again.fields, again.filename, again.file.read()) == (
            {"purpose": "batch"},
            shown,
            b"a",
        )
        for file in (form.file, sent.file, again.file):
            file.close()
