"""Uploads of files that are too long for memory: multipart bodies, read and written on disk."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from django.conf import settings
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.requests.encodings import decompression_of
from gateway.dataplane.requests.held_bodies import MIB, HeldBodies, HeldBody
from gateway.dataplane.requests.http import HttpExchange
from gateway.dataplane.requests.uploads import (
    BOUNDARY_LENGTH,
    FIELD_LIMIT,
    FIELDS,
    HEAD_LIMIT,
    HEADER_LIMIT,
)
from providers.declaration.storage import OpenFile
from tenants.auth.principal import Principal

PIECE: Final = 1024 * 1024  # bytes that are parsed and written at a time
NAME_LENGTH: Final = 255  # characters of a file's name
_FIELD: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
# What all uploads of this process hold on disk; one app key may have three eighths of it.
on_disk: Final = HeldBodies(4 * settings.MODELKEEP_FILE_LIMIT * MIB)


@dataclass(slots=True)
class Form:
    """The fields of a form and its file. `file` is deleted when it is closed."""

    file: BinaryIO
    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    size: int = 0

    def close(self) -> None:
        self.file.close()


def temporary_file() -> BinaryIO:
    """Return a file without a name, which goes with the process. Often, /tmp is in memory."""
    return tempfile.TemporaryFile(dir=settings.DATA_DIR)


async def receive_form(exchange: HttpExchange, principal: Principal) -> Form:
    """Read a multipart body with one file, which goes to disk as it arrives.

    Raises:
        Refusal: The form is malformed or too long, or there are too many uploads already.
        ConnectionError: The client disconnected.
    """
    limit = settings.MODELKEEP_FILE_LIMIT * MIB
    length = exchange.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit + MIB:
        raise _too_large()
    boundary = _boundary_of(exchange.headers.get("content-type", ""))
    exchange.held = HeldBody(on_disk, principal.app_key_id or principal.user_id)
    form = Form(await asyncio.to_thread(temporary_file))
    try:
        await _receive(exchange, _Reader(form, boundary, limit))
    except BaseException:
        form.close()
        raise
    return form


async def _receive(exchange: HttpExchange, reader: _Reader) -> None:
    decompression = decompression_of(exchange.headers.get("content-encoding", ""))
    waiting, size, more = bytearray(), 0, True
    while more:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client disconnected")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        for piece in (chunk,) if decompression is None else decompression.feed(chunk):
            waiting += piece
            size += len(piece)
            if exchange.held is not None:
                exchange.held.grow(size)
            if len(waiting) >= PIECE:
                await asyncio.to_thread(reader.feed, bytes(waiting))
                waiting.clear()
    if decompression is not None:
        decompression.finish()
    await asyncio.to_thread(reader.feed, bytes(waiting))
    reader.finish()


def _boundary_of(content_type: str) -> bytes:
    header = content_type.encode("latin-1", "replace")
    kind, options = parse_options_header(header if len(header) <= HEADER_LIMIT else b"")
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= BOUNDARY_LENGTH:
        raise Refusal("unsupported_media_type", "Send the file as multipart/form-data.")
    return bytes(boundary)


class _Reader:
    """Parses a form piece by piece."""

    def __init__(self, form: Form, boundary: bytes, limit: int) -> None:
        self._form = form
        self._limit = limit
        self._parts = 0
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._text: bytearray | None = None  # None while the file's content comes
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._grow(
                    self._header, data, start, end
                ),
                "on_header_value": lambda data, start, end: self._grow(
                    self._value, data, start, end
                ),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_part,
                "on_part_data": self._take,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """Parse a piece. Raises Refusal."""
        try:
            self._parser.write(data)
        except MultipartParseError:
            raise _malformed() from None

    def finish(self) -> None:
        """Check that the form is complete. Raises Refusal."""
        if not self._ended:
            raise bad_request("The form is incomplete.")
        if self._form.filename is None:
            raise bad_request("file is missing.", "file")
        self._form.file.seek(0)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > FIELDS:
            raise bad_request(f"The form has more than {FIELDS} fields.")
        self._headers = {}

    def _grow(self, text: bytearray, data: bytes, start: int, end: int) -> None:
        text += data[start:end]
        if len(text) > HEAD_LIMIT:
            raise _malformed()

    def _end_header(self) -> None:
        self._headers[bytes(self._header).strip().lower()] = bytes(self._value).strip()
        self._header.clear()
        self._value.clear()

    def _open_part(self) -> None:
        header = self._headers.get(b"content-disposition", b"")
        if len(header) > HEADER_LIMIT:
            raise _malformed()
        _kind, options = parse_options_header(header)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if not _FIELD.fullmatch(self._name):
            raise bad_request("A form field has no name, or one with other characters than a-z.")
        filename = options.get(b"filename")
        if (filename is not None) != (self._name == "file"):
            raise bad_request("Send one file, in the field file.", self._name)
        if self._name in self._form.fields or (filename is not None and self._form.filename):
            raise bad_request("A form field was sent twice.", self._name)
        self._text = bytearray() if filename is None else None
        if filename is not None:
            self._form.filename = _file_name(filename.decode("utf-8", "replace"))

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._text is None:
            self._form.size += end - start
            if self._form.size > self._limit:
                raise _too_large()
            self._form.file.write(memoryview(data)[start:end])
        else:
            self._text += data[start:end]
            if len(self._text) > FIELD_LIMIT:
                raise bad_request(
                    f"The field {self._name} is longer than {FIELD_LIMIT // 1024} KiB.", self._name
                )

    def _end_part(self) -> None:
        if self._text is not None:
            try:
                self._form.fields[self._name] = self._text.decode()
            except UnicodeDecodeError:
                raise bad_request("A form field is not UTF-8.", self._name) from None

    def _end(self) -> None:
        self._ended = True


def _file_name(text: str) -> str:
    """Return a name without a folder and without what could end a header."""
    name = "".join(filter(str.isprintable, re.split(r"[/\\]", text)[-1])).replace('"', "")
    return name[-NAME_LENGTH:] or "file"


class FormWriter:
    """Writes a multipart body to disk.

    Args:
        fields: Their names are safe in a header.
    """

    def __init__(self, fields: Mapping[str, str], filename: str) -> None:
        self._boundary = secrets.token_hex(16).encode()
        self.file = temporary_file()
        for name, value in fields.items():
            self._begin(name, b"")
            self.file.write(value.encode() + b"\r\n")
        self._begin("file", f'; filename="{filename}"'.encode())

    def _begin(self, name: str, more: bytes) -> None:
        kind = b"\r\nContent-Type: application/octet-stream" if more else b""
        self.file.write(
            b'--%b\r\nContent-Disposition: form-data; name="%b"%b%b\r\n\r\n'
            % (self._boundary, name.encode(), more, kind)
        )

    def finish(self) -> tuple[OpenFile, str]:
        """Return the body and its type. The caller closes the file."""
        self.file.write(b"\r\n--%b--\r\n" % self._boundary)
        content_type = f"multipart/form-data; boundary={self._boundary.decode()}"
        return OpenFile(self.file, self.file.tell()), content_type

    def copy(self, file: BinaryIO) -> None:
        for piece in _pieces(file):
            self.file.write(piece)

    def abandon(self) -> None:
        with suppress(OSError):
            self.file.close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece


def _malformed() -> Refusal:
    return bad_request("The body is not valid multipart/form-data.")


def _too_large() -> Refusal:
    message = f"The file is larger than {settings.MODELKEEP_FILE_LIMIT} MiB."
    return Refusal("too_large", message, param="file")
