"""Stream a Replicate prediction."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from providers.declaration.spec import Call, Frame, Reply
from providers.wire.decoding import Decoding, broken_off
from providers.wire.http import json_or_none, plain_error, read_object
from providers.wire.replicate.predictions import (
    MAX_FAILURES,
    NO_STREAM,
    Handle,
    Prediction,
    errors,
    failed,
    head_of,
    raise_if_failed,
    text_of,
    usage_of,
)
from providers.wire.sse import EventParser
from providers.wire.usage import usage_object

_TEXT_START = b',"choices":[{"index":0,"delta":{"content":'
_TEXT_END = b'},"logprobs":null,"finish_reason":null}]}'
MAX_USAGE_POLLS = 2  # of a prediction whose text is complete


def stream_call(prediction: Prediction, handle: Handle) -> Call | None:
    """Return the call that opens the prediction's stream.

    Returns:
        None if there is no stream, or if its host must not see the token.
    """
    urls = prediction.get("urls")
    url = urls.get("stream") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not is_trusted(url, handle.url):
        return None
    headers = {**handle.headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
    return Call("GET", url, headers, stream=True, accept=NO_STREAM, undo=handle.cancel())


def is_trusted(url: str, own: str) -> bool:
    """Tell whether the account's token may be sent to a URL.

    It may go to the account's own origin, and from Replicate's API to Replicate's stream hosts.
    """
    try:
        target, base = urlsplit(url), urlsplit(own)
        if (target.scheme, target.hostname, target.port) == (base.scheme, base.hostname, base.port):
            return target.username is None
        return (
            target.scheme == "https"
            and target.port in (None, 443)
            and target.username is None
            and _is_stream_host(target.hostname, base.hostname)
        )
    except ValueError:
        return False


def _is_stream_host(target: str | None, base: str | None) -> bool:
    return (base or "").endswith(".replicate.com") and (target or "").endswith(
        (".replicate.com", ".replicate.net")
    )


class PredictionDecoder(Decoding):
    """Decode a prediction's text into chunks, from its event stream.

    If there is no stream, or it ended early, poll the prediction for the rest. A last poll fetches
    the usage (and the error), which the event stream does not contain.
    """

    def __init__(
        self, prediction: Prediction, handle: Handle, model: str, *, is_open: bool
    ) -> None:
        super().__init__()
        self._parser = EventParser()
        self._characters = getincrementaldecoder("utf-8")("replace")  # pieces may cut them
        self._handle = handle
        self._head = head_of(prediction, "chat.completion.chunk", model)
        self._text_start = orjson.dumps(self._head)[:-1] + _TEXT_START
        self._pieces: list[str] = []
        self._polls = 0
        self._failures = 0
        self._failed = False  # according to the stream; the prediction contains the reason
        self.next_call: Call | None = None if is_open else handle.poll(0)

    def feed(self, data: bytes) -> Sequence[Frame]:
        return [] if self.done else self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        """End the event stream, which is not always the end of the answer."""
        if self.done or self.next_call is not None:
            return ()
        frames = self._frames(self._parser.finish())
        if not self.done:
            self.next_call = self._handle.poll(0)
        return frames

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Read the reply to a poll.

        Raises:
            ProviderError: if the prediction failed.
        """
        self.next_call = None
        self._polls += 1
        if reply.status >= 300:
            return self._after_failure(reply)
        self._failures = 0
        prediction = read_object(reply)
        raise_if_failed(prediction)
        frames = self._unsent(text_of(prediction.get("output")))
        if prediction.get("status") == "succeeded":
            self.usage = usage_of(prediction)
            return [*frames, *self._end()]
        return [*frames, *self._poll_again()]

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        frames: list[Frame] = []
        for event, data in events:
            if event == b"output":
                frames += self._piece(self._characters.decode(data))
            elif event == b"error":
                raise failed(_field(data, "detail") or data.decode(errors="replace"))
            elif event == b"done":
                self._failed = _field(data, "reason") is not None
                self.done, self.next_call = True, self._handle.poll_usage(0)
                break
        return frames

    def _piece(self, text: str) -> list[Frame]:
        if not text:
            return []
        self.output_characters += len(text)
        self._pieces.append(text)
        if len(self._pieces) == 1:
            return [self._frame({"role": "assistant", "content": text}, None)]
        return [Frame(self._text_start + orjson.dumps(text) + _TEXT_END, content=True)]

    def _unsent(self, text: str) -> list[Frame]:
        """Return the part of the output that was not sent yet."""
        sent = "".join(self._pieces)
        if text.startswith(sent):
            return self._piece(text[len(sent) :])
        if self.done:
            return []
        raise broken_off()

    def _poll_again(self) -> Sequence[Frame]:
        if not self.done:
            self.next_call = self._handle.poll(self._polls)
            return ()
        if self._failed:
            raise failed(None)
        if self._polls < MAX_USAGE_POLLS:
            self.next_call = self._handle.poll_usage(self._polls)
            return ()
        return self._end()

    def _after_failure(self, reply: Reply) -> Sequence[Frame]:
        """End a complete answer without usage; poll again for an incomplete one."""
        self._failures += 1
        if not self.done and self._failures > MAX_FAILURES:
            raise errors(reply) or plain_error(reply)
        return self._end() if self.done and not self._failed else self._poll_again()

    def _end(self) -> list[Frame]:
        self.done, self.finish_reason = True, "stop"
        frames = [self._frame({} if self._pieces else {"role": "assistant", "content": ""}, "stop")]
        if usage := usage_object(self.usage):
            frames.append(
                Frame(orjson.dumps({**self._head, "choices": [], "usage": usage}), usage_only=True)
            )
        return frames

    def _frame(self, delta: dict[str, Any], finish: str | None) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Frame(
            orjson.dumps({**self._head, "choices": [choice]}), content=bool(delta.get("content"))
        )


def _field(data: bytes, name: str) -> str | None:
    body = json_or_none(data)
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) and value else None
