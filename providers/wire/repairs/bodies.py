"""What a body is, told by its first bytes: servers and proxies label bodies wrongly. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson

from providers.declaration.spec import Reply
from providers.wire.http import json_or_none
from providers.wire.sse import EventParser

_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"


def is_event_stream(body: bytes) -> bool:
    """Tell whether a body begins as event streams do."""
    return body[:1024].lstrip(_BLANK).startswith(_FIELDS)


def error_reply(reply: Reply) -> Reply:
    """Return an error's reply with a body that is the error's object.

    Some servers send it as an event, and Google sends a list of one.
    """
    value: Any = None
    if is_event_stream(reply.body):
        parser = EventParser()
        events = [*parser.feed(reply.body), *parser.finish()]
        values = (json_or_none(data) for _event, data in events)
        value = next((value for value in values if isinstance(value, dict)), None)
    elif reply.body[:1024].lstrip(_BLANK).startswith(b"["):
        listed = json_or_none(reply.body)
        value = listed[0] if isinstance(listed, list) and listed else None
    return replace(reply, body=orjson.dumps(value)) if isinstance(value, dict) else reply
