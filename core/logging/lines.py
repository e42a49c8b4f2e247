"""What a log line looks like, as text or JSON: with the request's id, and no secret of a path."""

from __future__ import annotations

import json
import logging
import re
import time
from contextvars import ContextVar

# No line says these, and looking them up takes time for each.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

request_id: ContextVar[str] = ContextVar("modelkeep_request_id", default="-")

LONGEST_PATH = 300
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
