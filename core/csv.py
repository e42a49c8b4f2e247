"""Tables as CSV downloads of any length: never a formula, never held in memory, and sent while they
are made.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone

# How a cell begins that a spreadsheet would run. Where Chinese or Japanese is written, the wide
# signs are taken for the narrow ones.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
PIECE: Final = 500  # lines that are sent at once
BOM: Final = "\ufeff"  # by which spreadsheets know UTF-8


def harmless(cell: Any) -> str:
    """A cell's text. One that a spreadsheet would take for a formula begins with an apostrophe."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()


def text_of(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def csv_file(name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A short file that is sent at once."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse(
        text_of([header, *rows]), content_type="text/csv; charset=utf-8", headers=headers
    )


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """A whole file: the header at once, then the rows as they come."""
    yield (BOM + text_of([header])).encode()
    found = iter(rows)
    while piece := list(islice(found, PIECE)):
        yield text_of(piece).encode()


def download(request: HttpRequest, pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """A file that is sent while it is made, called `name` and today's date.

    Under ASGI the pieces have to come asynchronously:
    Django would collect them all first.

    It is not compressed: Django's middleware makes an archive of each piece, and Chromium takes the
    first for the whole file.
    """
    content: Any = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{timezone.localdate():%Y-%m-%d}.csv"',
        "Content-Encoding": "identity",
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    take = sync_to_async(lambda: next(pieces, None))
    while (piece := await take()) is not None:
        yield piece
