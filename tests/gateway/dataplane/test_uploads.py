"""Forms with a file: what is read, what is refused, and that no form takes long to read."""

from __future__ import annotations

import time

import pytest

from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.uploads import FIELDS, FILE_LIMIT, read_form
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS
from tests.holding import longest_hold

pytestmark = pytest.mark.one_database

TYPE = "multipart/form-data; boundary=b"
END = b"--b--\r\n"
FILE = OPERATIONS[Operation.TRANSCRIPTION].file
assert FILE is not None


def part(disposition: bytes, data: bytes = b"x", more: bytes = b"") -> bytes:
    return b"--b\r\nContent-Disposition: " + disposition + b"\r\n" + more + b"\r\n" + data + b"\r\n"


def sound(data: bytes = b"ID3x") -> bytes:
    return part(b'form-data; name="file"; filename="a.mp3"', data, b"Content-Type: audio/mpeg\r\n")


def refused(form: bytes, content_type: str = TYPE) -> Refusal:
    assert FILE is not None
    with pytest.raises(Refusal) as caught:
        read_form(content_type, form, FILE)
    return caught.value


def test_fields_lists_and_the_file() -> None:
    assert FILE is not None
    data = b"ID3\r\n--c\r\n--\r\r\n\r\n"
    form = (
        part(b'form-data; name="model"', b"demo/x")
        + part(b'form-data; name="include[]"', b"a")
        + part(b'form-data; name="include[]"', b"")
        + sound(data)
        + b"--b--epilogue"
    )
    fields, upload = read_form(TYPE, form, FILE)
    assert fields == {"model": "demo/x", "include": ["a", ""]}
    assert (upload.filename, upload.content_type, upload.data) == ("a.mp3", "audio/mpeg", data)


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"x" + sound() + END,
        sound()[:-9],
        sound() + b"--b",
        b"--b\r\n\r\nx\r\n" + END,
        b"\r\nx\r\n" + sound() + END,
        b"\r\n" * 100 + sound() + END,
        part(b'form-data; name="a"' + b";" * 2**20) + sound() + END,
        part(b'form-data; name="a"', more=b"X: a\r\n" * 10_000) + sound() + END,
        part(b'form-data; name="a"', b"x" * 70_000) + sound() + END,
        part(b'form-data; name="a"') * 2 + sound() + END,
        sound() * 2 + END,
        part(b'form-data; name="a[]"') * (FIELDS + 1) + END,
        part(b"form-data") + sound() + END,
        part(b'form-data; name="a"', b"\xff") + sound() + END,
    ],
)
def test_malformed(form: bytes) -> None:
    assert refused(form).status == 400


def test_blank_lines_before_the_form_are_skipped() -> None:
    assert FILE is not None
    _fields, upload = read_form(TYPE, b"\r\n" + sound() + END, FILE)
    assert upload.data.startswith(b"ID3")


def test_another_type_or_size() -> None:
    assert refused(sound() + END, "application/json").status == 415
    assert refused(sound() + END, "multipart/form-data").status == 415
    assert refused(sound(b"MZ") + END).status == 415
    assert refused(sound(b"ID3" + b"x" * FILE_LIMIT) + END).status == 413
    assert refused(sound() + END, TYPE + "; a=b" * 1000).status == 400


@pytest.mark.parametrize("piece", [b"\r", b"\r\n", b"\r\n--", b"\r\n--c", b"\r\n\r\n", b"-"])
def test_no_form_takes_long(piece: bytes) -> None:
    form = sound(piece * ((FILE_LIMIT - 10) // len(piece))) + END
    assert FILE is not None
    began = time.process_time()
    held = longest_hold(lambda: read_form(TYPE, form, FILE), Refusal)  # type: ignore[arg-type]  # it is there
    assert held < 0.1
    assert time.process_time() - began < 1
