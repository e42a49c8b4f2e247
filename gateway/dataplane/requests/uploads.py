"""Parser for upload forms: fields as in a JSON body, and one file of an accepted format."""

from __future__ import annotations

from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.dataplane.errors import Refusal, bad_request
from providers.declaration.spec import Upload
from providers.operations.columns import FileField

FILE_LIMIT: Final = 25 * 1024 * 1024  # bytes
FIELD_LIMIT: Final = 64 * 1024  # bytes per non-file field
FIELDS: Final = 32
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}


class _Part:
    """One part of a form being parsed."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.data = bytearray()
        self.name = ""
        self.filename: str | None = None

    def begin(self) -> None:
        """Read name and filename once the headers are complete."""
        disposition, options = parse_options_header(self.headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or b"name" not in options:
            raise bad_request("A form field has no name.")
        self.name = options[b"name"].decode("utf-8", "replace")
        if b"filename" in options:
            self.filename = options[b"filename"].decode("utf-8", "replace")

    @property
    def content_type(self) -> str:
        return self.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")


class _Form:
    """Collects the parts from the parser's callbacks."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.complete = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": lambda: self.parts[-1].begin(),
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        if len(self.parts) >= FIELDS:
            raise bad_request(f"The form has more than {FIELDS} fields.")
        self.parts.append(_Part())

    def _header_end(self) -> None:
        name, value = self._header
        self.parts[-1].headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.data += memoryview(data)[start:end]
        if part.filename is None and len(part.data) > FIELD_LIMIT:
            raise bad_request(
                f"The field {part.name[:60]} is longer than {FIELD_LIMIT // 1024} KiB."
            )
        if len(part.data) > FILE_LIMIT:
            raise Refusal("too_large", "The file is larger than 25 MiB.", param="file")

    def _end(self) -> None:
        self.complete = True


def read_form(content_type: str, data: bytes, file: FileField) -> tuple[dict[str, Any], Upload]:
    """Return the fields and the file of a multipart body.

    A field whose name ends in [] becomes a list.

    Raises:
        Refusal: 400 for a malformed form, 413 for a file over 25 MiB, 415 for an unsupported file
            format.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Refusal("unsupported_media_type", "Send the file as multipart/form-data.")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(data)
        parser.finalize()
    except FormParserError:
        raise bad_request("The body is not valid multipart/form-data.") from None
    if not form.complete:
        raise bad_request("The form is incomplete.")
    return _split(form.parts, file)


def _split(parts: list[_Part], file: FileField) -> tuple[dict[str, Any], Upload]:
    fields: dict[str, Any] = {}
    upload: Upload | None = None
    for part in parts:
        if part.name == file.name:
            if upload is not None or part.filename is None:
                raise bad_request(f"{file.name} must be a single file.", file.name)
            upload = Upload(part.filename or "audio", part.content_type, bytes(part.data))
        elif part.filename is not None:
            raise bad_request(f"Only the field {file.name} may contain a file.", part.name[:60])
        else:
            _add_field(fields, part, file.numbers)
    if upload is None:
        raise bad_request(f"{file.name} is missing.", file.name)
    if not file.accepts(upload.data):
        raise Refusal(
            "unsupported_media_type",
            f"The file format is not supported. Use one of: {file.formats}.",
            param=file.name,
        )
    return fields, upload


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
        return float(text)
    except ValueError:
        raise bad_request(f"{name} must be a number.", name) from None
