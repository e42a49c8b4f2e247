"""Write and read an archive: gzip of JSON lines, the first of which is a header."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

FORMAT: Final = "modelkeep-archive/1"
Row = Mapping[str, Any]


class ArchiveError(Exception):
    """An archive that can't be written, read or trusted; says what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of an archive.

    Attributes:
        kind: Of the rows, such as "calls".
        number: Counts the archives of an installation, of all kinds, from 1.
        previous: SHA-256 of the archive before this one, hex; "" for the first one.
        made: When, in UTC.
    """

    kind: str
    number: int
    previous: str
    made: str
    format: str = FORMAT


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the number of rows after the header, bytes, and the file's SHA-256."""

    rows: int
    size: int
    sha256: str


def write(path: Path, header: Header, rows: Iterable[Row]) -> Written | None:
    """Write an archive, which is on disk when this returns.

    Returns:
        None, and there is no file, if there are no rows.

    Raises:
        ArchiveError: The file exists, or cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as at_end:
            at_end.callback(part.unlink, missing_ok=True)
            count = _write_lines(part, header, rows)
            if not count:
                return None
            _link(part, path)
        return Written(count, path.stat().st_size, digest(path))
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from None


def _write_lines(part: Path, header: Header, rows: Iterable[Row]) -> int:
    count = 0
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
            file.write(_line(header))
            for row in rows:
                file.write(_line(row))
                count += 1
        raw.flush()
        os.fsync(raw.fileno())
    return count


def _line(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # unlike a rename, it replaces no file
    except FileExistsError:
        raise ArchiveError(
            f"{path} exists, but the database does not know it. Move it away, then run again."
        ) from None
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(path: Path) -> str:
    """Return a file's SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path) -> tuple[Header, Iterator[Row]]:
    """Read an archive's header, and its rows one by one.

    Raises:
        ArchiveError: The file is no archive; the iterator too, if its end is damaged.
    """
    lines = _lines(path)
    try:
        header = Header(**next(lines))
    except (TypeError, StopIteration):
        raise ArchiveError(f"{path} is not an archive of Modelkeep.") from None
    if header.format != FORMAT:
        raise ArchiveError(f"{path} has the format {header.format}, which is unknown here.")
    return header, lines


def _lines(path: Path) -> Iterator[Row]:
    try:
        with gzip.open(path, "rb") as file:
            yield from map(orjson.loads, file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ArchiveError(f"{path} cannot be read: {error}") from None
