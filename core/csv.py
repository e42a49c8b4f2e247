"""Streamed CSV downloads, safe against formula injection."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone

from core.db.connection import release

# Prefixes that make a spreadsheet treat a cell as a formula. Chinese and Japanese locales accept
# the full-width characters too.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
PIECE: Final = 500  # rows per chunk
# Downloads of a process whose next piece is made at the same time; the others wait. Many at once
# would leave pages neither processor nor connections.
AT_ONCE: Final = 2
BOM: Final = "\ufeff"  # tells spreadsheets that the file is UTF-8


def harmless(cell: Any) -> str:
    """Return a cell's text, prefixed with an apostrophe if it could be read as a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()


def text_of(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def csv_file(name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """Return a short CSV file as an unstreamed response."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse(
        text_of([header, *rows]), content_type="text/csv; charset=utf-8", headers=headers
    )


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a CSV file in chunks: the header first, then the rows as they arrive."""
    yield (BOM + text_of([header])).encode()
    iterator = iter(rows)
    while piece := list(islice(iterator, PIECE)):
        yield text_of(piece).encode()


def download(request: HttpRequest, pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """Stream a CSV file named `name` plus today's date.

    Under ASGI the chunks must come from an async iterator, or Django collects them all first. The
    file is not compressed: Django's gzip middleware compresses each chunk as a separate archive,
    and Chromium reads only the first.
    """
    content: Any = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{timezone.localdate():%Y-%m-%d}.csv"',
        "Content-Encoding": "identity",
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


_makers: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    makers = _makers.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    take = sync_to_async(_next)
    while True:
        async with makers:
            piece = await take(pieces)
        if piece is None:
            return
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    """Make the next piece; while it is sent, perhaps slowly, no connection is held."""
    try:
        return next(pieces, None)
    finally:
        release()
