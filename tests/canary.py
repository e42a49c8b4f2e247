"""Looks for secrets where none may be: in plain sight, reversed, and as base64, hex or URL-encoded
text.

Secrets of tests hold factories.MARK, so one search finds all of them; other secrets are searched
for by themselves.
"""

from __future__ import annotations

import base64
import functools
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import quote

from django.test import Client

from tests import factories


@functools.lru_cache(maxsize=512)
def traces(secret: str) -> dict[bytes, str]:
    """Every form of `secret` that is searched for, with the form's name.

    base64 looks different by where the secret begins within a group of three bytes; what depends on
    the neighbours is cut off.
    """
    plain = secret.encode()
    found = {
        plain: "as it is",
        plain[::-1]: "reversed",
        plain.hex().encode(): "hex",
        plain.hex().upper().encode(): "hex",
    }
    found["".join(f"%{byte:02X}" for byte in plain).encode()] = "URL-encoded"
    found[quote(secret, safe="").encode()] = (
        "URL-encoded" if quote(secret, safe="") != secret else "as it is"
    )
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
        start = -(-shift * 4 // 3)
        end = len(encoded) - (0 if (shift + len(plain)) % 3 == 0 else 1)
        inner = encoded[start:end]
        found[inner] = "base64"
        found[inner.replace(b"+", b"-").replace(b"/", b"_")] = "base64url"
    return found


def find(data: bytes | str, secrets: Iterable[str] = (factories.MARK,)) -> list[str]:
    """How each secret appears in `data`; empty where none does. The secrets themselves are not
    named.
    """
    text = data.encode("utf-8", "replace") if isinstance(data, str) else data
    return [form for secret in secrets for trace, form in traces(secret).items() if trace in text]


class Listener(logging.Handler):
    """Notes every log line that holds a secret, with its logger's name."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage() + repr(getattr(record, "fields", ""))
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info)
        forms = find(text, [factories.MARK, *factories.app_keys])
        if forms:
            self.found.append(f"a log line of {record.name} ({', '.join(forms)})")


@contextmanager
def watching() -> Iterator[list[str]]:
    """Within: log lines and answers of Django's test client are searched; what was found is in the
    list.
    """
    listener = Listener()
    request = Client.request

    def searched(self: Client, **environ: Any) -> Any:
        answer = request(self, **environ)
        if not getattr(answer, "streaming", False):
            forms = find(
                answer.content + str(answer.headers).encode(), [factories.MARK, *factories.app_keys]
            )
            if forms:
                listener.found.append(
                    f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')} "
                    f"({', '.join(forms)})"
                )
        return answer

    factories.app_keys.clear()
    root = logging.getLogger()
    root.addHandler(listener)
    try:
        with mock.patch.object(Client, "request", searched):
            yield listener.found
    finally:
        root.removeHandler(listener)
