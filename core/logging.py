"""Log formatting with request ids, as text or JSON, and the access log."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from itertools import chain
from typing import Any, TextIO

# No line says these, and looking them up takes time for each.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

request_id: ContextVar[str] = ContextVar("modelkeep_request_id", default="-")
access = logging.getLogger("modelkeep.access")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_PATH = 300
LOGGED = "modelkeep.logged"  # in a scope: what its application adds to the access line
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# A path segment that grants access: by its route, whatever it looks like, or by its looks.
_BY_ROUTE = re.compile(r"(?<=/invite/)[^/]+|(?<=/password_reset/).+", re.IGNORECASE)
_APP_KEY = re.compile(r"mk_live_[^/]+", re.IGNORECASE)
_TOKEN = re.compile(r"(?<=/)(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9_-]{24,}(?=/|$)")
_SLASHES = re.compile(r"/{2,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What all paths have that loggable_path changes.
_UNUSUAL = re.compile(
    rf"//|/invite/|/password_reset/|mk_live_|[A-Za-z0-9_-]{{24}}|{_CONTROL.pattern}", re.IGNORECASE
)


def escaped(text: str) -> str:
    """Escape line breaks and other control characters, to prevent log injection."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def loggable_path(path: str) -> str:
    """Return a path that is safe to log: tokens masked, ids kept, at most 300 characters."""
    if len(path) <= LONGEST_PATH and not _UNUSUAL.search(path):
        return path
    path = _APP_KEY.sub("***", _BY_ROUTE.sub("***", _SLASHES.sub("/", path)))
    return escaped(
        _TOKEN.sub(lambda match: match[0] if _UUID.fullmatch(match[0]) else "***", path)
    )[:LONGEST_PATH]


class LineHandler(logging.StreamHandler[TextIO]):
    """Write the lines of one turn of the event loop at once.

    Each write hands the interpreter's lock to other threads, and the event loop would wait for it.
    Warnings, and what other threads log, are written immediately, with all lines before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._due_in: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + self.terminator)
            if record.levelno >= logging.WARNING or not self._is_due():
                self.flush()
        except Exception:
            self.handleError(record)

    def _is_due(self) -> bool:
        """Have the event loop write the lines soon; return False if none is running here."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._due_in is not loop:
            self._due_in = loop
            loop.call_soon(self.flush)
        return True

    def flush(self) -> None:
        self.acquire()
        try:
            lines, self._lines, self._due_in = self._lines, [], None
            if lines:
                self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()


class RequestIdFilter(logging.Filter):
    """Add the request id to every record and clean up Django's records about failed requests.

    Django logs those ("Not Found: /path") after our middleware has finished, with the raw path, and
    with a traceback for a missing permission.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = (
            getattr(record, "request_id", None) or getattr(request, "id", None) or request_id.get()
        )
        if record.name.startswith("django."):
            if isinstance(record.args, tuple):
                record.args = tuple(
                    loggable_path(arg) if isinstance(arg, str) and arg.startswith("/") else arg
                    for arg in record.args
                )
            if record.levelno < logging.ERROR:
                record.exc_info = record.exc_text = None
        return True


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._second: tuple[int, str] = (-1, "")

    def usesTime(self) -> bool:
        return True

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        if self._second[0] != second:  # format once per second
            self._second = (second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second)))
        return f"{self._second[1]}.{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:
        return (
            f"{record.asctime} {record.levelname:<7} {record.name} "
            f"[{getattr(record, 'request_id', '-')}] {escaped(record.message)}"
        )


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class AccessLog:
    """ASGI middleware that logs one line per completed request, except for probes.

    The line has the method, path, status, milliseconds, bytes sent and client address, and what the
    application left in the scope under LOGGED, but no query string or headers.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] in PROBES
            or not access.isEnabledFor(logging.INFO)
        ):
            await self.application(scope, receive, send)
            return
        line = _Line(scope)

        async def watched_send(message: Message) -> None:
            line.see(message)
            await send(message)

        try:
            await self.application(scope, receive, watched_send)
        finally:
            line.write()


class _Line:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.more: dict[str, Any] = scope.setdefault(LOGGED, {})
        self.began = time.perf_counter()
        self.status = 0  # 0 if the client disconnected before the response began
        self.sent = 0
        self.request_id = "-"

    def see(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self.sent += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
            self.request_id = next(
                (
                    value.decode("latin-1")
                    for name, value in reversed(message["headers"])  # it is among the last
                    if name.lower() == b"x-request-id"
                ),
                "-",
            )

    def write(self) -> None:
        path = loggable_path(self.scope["path"])
        took = round((time.perf_counter() - self.began) * 1000, 1)
        address = (self.scope.get("client") or ("-",))[0]
        fields = {
            "method": self.scope["method"],
            "path": path,
            "status": self.status,
            "ms": took,
            "bytes": self.sent,
            "address": address,
        }
        # Built directly: `access.info` would walk the stack for the caller, which is always this
        # line.
        line = logging.LogRecord(
            access.name,
            logging.INFO,
            "",
            0,
            "%s %s %s %s ms %s bytes %s" + " %s=%s" * len(self.more),
            (*fields.values(), *chain.from_iterable(self.more.items())),
            None,
        )
        line.request_id, line.fields = self.request_id, fields | self.more
        access.handle(line)
