"""Parser for upload forms: fields as in a JSON body, and files of an accepted format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from python_multipart.multipart import parse_options_header

from gateway.dataplane.errors import Refusal, bad_request
from providers.declaration.spec import Upload
from providers.operations.columns import FileField
from providers.operations.fields import problem_of

FILE_LIMIT: Final = 25 * 1024 * 1024  # bytes
FIELD_LIMIT: Final = 64 * 1024  # bytes per non-file field
FIELDS: Final = 32
SEARCHED: Final = 1024 * 1024  # bytes at once
BLANK_LINES: Final = 16  # bytes of blank lines before the first part, as some clients send
HEAD_LIMIT: Final = 8 * 1024  # bytes of a part's headers
HEADER_LIMIT: Final = 1024  # bytes of one header with options
BOUNDARY_LENGTH: Final = 200  # RFC 2046 allows 70
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}


@dataclass(slots=True)
class _Part:
    """One part of a form. filename: None for a field without a file."""

    name: str
    filename: str | None
    content_type: str
    data: bytes


def read_form(
    content_type: str, data: bytes, file: FileField
) -> tuple[dict[str, Any], Upload | None]:
    """Return the fields and the file of a multipart body.

    A field whose name ends in [] becomes a list. Files that a JSON body could hold become fields.

    Raises:
        Refusal: 400 for a malformed form, 413 for a file over 25 MiB, 415 for an unsupported file
            format.
    """
    kind, options = _options(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= BOUNDARY_LENGTH:
        raise Refusal("unsupported_media_type", "Send the file as multipart/form-data.")
    return _split(list(_parts(data, b"--" + boundary)), file)


def _parts(data: bytes, delimiter: bytes) -> Iterator[_Part]:
    """Find the parts by their delimiter, which takes the same time whatever is in between."""
    start = data.find(delimiter, 0, BLANK_LINES + len(delimiter))
    if start < 0 or data[:start].strip(b"\r\n"):
        raise _malformed()
    start += len(delimiter)
    for _number in range(FIELDS):
        if data[start : start + 2] == b"--":
            return
        head = data.find(b"\r\n\r\n", start, start + HEAD_LIMIT)
        if data[start : start + 2] != b"\r\n" or head < 0:
            raise _malformed()
        end = _find(data, b"\r\n" + delimiter, head + 4)
        if end < 0:
            raise bad_request("The form is incomplete.")
        yield _part(data[start + 2 : head], data, head + 4, end)
        start = end + 2 + len(delimiter)
    if data[start : start + 2] != b"--":
        raise bad_request(f"The form has more than {FIELDS} fields.")


def _find(data: bytes, text: bytes, start: int) -> int:
    """Search piece by piece, so that other threads can run in between."""
    while start < len(data):
        found = data.find(text, start, start + SEARCHED + len(text) - 1)
        if found >= 0:
            return found
        start += SEARCHED
    return -1


def _part(head: bytes, data: bytes, start: int, end: int) -> _Part:
    headers = {
        name.strip().lower(): value.strip()
        for name, _colon, value in (line.partition(b":") for line in head.split(b"\r\n"))
    }
    disposition, options = _options(headers.get(b"content-disposition", b""))
    if disposition != b"form-data" or b"name" not in options:
        raise bad_request("A form field has no name.")
    name = options[b"name"].decode("utf-8", "replace")
    filename = options[b"filename"].decode("utf-8", "replace") if b"filename" in options else None
    if filename is None and end - start > FIELD_LIMIT:
        raise bad_request(f"The field {name[:60]} is longer than {FIELD_LIMIT // 1024} KiB.")
    if end - start > FILE_LIMIT:
        raise Refusal("too_large", "The file is larger than 25 MiB.", param="file")
    kind = headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
    return _Part(name, filename, kind, data[start:end])


def _options(header: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Read a header's value and its options.

    Raises:
        Refusal: The header is too long; reading it could take seconds.
    """
    if len(header) > HEADER_LIMIT:
        raise _malformed()
    return parse_options_header(header)


def _malformed() -> Refusal:
    return bad_request("The body is not valid multipart/form-data.")


def _split(parts: list[_Part], file: FileField) -> tuple[dict[str, Any], Upload | None]:
    fields: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {}
    for part in parts:
        name = part.name.removesuffix("[]") if file.most > 1 else part.name
        if name == file.name or name in file.others:
            _add_file(files, name, part, file)
        elif part.filename is not None:
            names = " and ".join((file.name, *file.others))
            raise bad_request(f"Only the field {names} may contain a file.", part.name[:60])
        else:
            _add_field(fields, part, file.numbers)
    if file.name not in files:
        problem = problem_of(fields, file.name, str, f"a file: {file.formats}")
        raise bad_request(f"{file.name} {problem}", file.name)
    if file.as_json is not None:
        return fields | file.as_json(files), None
    return fields, files[file.name][0]


def _add_file(files: dict[str, list[Upload]], name: str, part: _Part, file: FileField) -> None:
    most = file.most if name == file.name else 1
    uploads = files.setdefault(name, [])
    if part.filename is None or len(uploads) == most:
        number = "a single file" if most == 1 else f"a file, or up to {most} named {name}[]"
        raise bad_request(f"{name} must be {number}.", name)
    if not part.data:
        raise bad_request(f"{name} is empty: send a file: {file.formats}.", name)
    if not file.accepts(part.data):
        raise Refusal(
            "unsupported_media_type",
            f"The file format is not supported. Use one of: {file.formats}.",
            param=name,
        )
    uploads.append(Upload(part.filename or "audio", part.content_type, part.data))


def _add_field(fields: dict[str, Any], part: _Part, numbers: frozenset[str]) -> None:
    try:
        text = part.data.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("A form field is not UTF-8.", part.name[:60]) from None
    name = part.name.removesuffix("[]")
    if name in fields and not (name != part.name and isinstance(fields[name], list)):
        raise bad_request("A form field was sent twice.", name[:60])
    if name != part.name:
        fields.setdefault(name, []).append(text)
    else:
        fields[part.name] = _value(part.name, text, numbers)


def _value(name: str, text: str, numbers: frozenset[str]) -> Any:
    if name == "stream":
        if text.lower() not in _FLAGS:
            raise bad_request("stream must be true or false.", "stream")
        return _FLAGS[text.lower()]
    if name not in numbers:
        return text
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise bad_request(f"{name} must be a number.", name) from None
