"""Replicate's predictions: start, poll and read them, whole or as a stream.

See https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Call, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire.decoding import Decoding, broken_off
from providers.wire.http import (
    failure_of_status,
    json_or_none,
    path_segment,
    plain_error,
    read_object,
    wait_asked_for,
)
from providers.wire.sse import EventParser

# Seconds for which the starting call waits for the result. Keep it short: without the id, the
# prediction cannot be cancelled meanwhile.
WAIT = "wait=10"
ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
FIRST_DELAY = 0.5  # seconds between two polls; grows by half each time
LONGEST_DELAY = 5.0  # seconds
# Statuses of polls that say nothing about the running prediction: poll again.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
MAX_FAILURES = 3  # transient ones in a row
MAX_USAGE_POLLS = 2  # of a prediction whose text is complete
NO_STREAM = frozenset(range(300, 600))

Prediction = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handle:
    """How to poll and cancel one prediction.

    Attributes:
        url: of the prediction, at the account's own base URL.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)

    def poll(self, number: int) -> Call:
        """Return the call that reads the prediction's state.

        Args:
            number: how many polls came before.
        """
        delay = min(FIRST_DELAY * 1.5**number, LONGEST_DELAY)
        return Call(
            "GET",
            self.url,
            {**self.headers, "Accept": "application/json"},
            accept=TRANSIENT,
            delay=delay,
            undo=self.cancel(),
        )

    def poll_usage(self, number: int) -> Call:
        """Return the call that reads the usage of a finished prediction.

        Nothing is left to cancel, and no status counts as an error: the answer is complete without
        usage.
        """
        delay = FIRST_DELAY if number else 0.0
        return Call(
            "GET",
            self.url,
            {**self.headers, "Accept": "application/json"},
            accept=NO_STREAM,
            delay=delay,
        )

    def cancel(self) -> Call:
        return Call("POST", f"{self.url}/cancel", dict(self.headers))


def handle_of(prediction: Prediction, predictions_url: str, headers: Mapping[str, str]) -> Handle:
    """Build the handle from the id: behind a relay, the URLs in the answer belong to another host.

    Raises:
        ProviderError: if the prediction has no id.
    """
    identity = prediction.get("id")
    if not isinstance(identity, str) or not identity:
        raise ProviderError(Failure.ERROR, Reason("no_prediction"), status=200)
    return Handle(f"{predictions_url}/{path_segment(identity)}", headers)


def finished(
    handle: Handle, prediction: Prediction, *, waited: bool
) -> Generator[Call, Reply, Prediction]:
    """Poll until the prediction has ended.

    Args:
        waited: whether `prediction` is the reply to a request that was told to wait.

    Raises:
        ProviderError: if it failed, was cancelled, or cannot be read.
    """
    number = failures = 0
    # The reply to a waiting request is complete as soon as it contains an output, even if its
    # status is still "processing".
    while prediction.get("status") not in ENDED and not (
        waited and prediction.get("status") == "processing" and prediction.get("output")
    ):
        reply = yield handle.poll(number)
        number, waited = number + 1, False
        failures = failures + 1 if reply.status in TRANSIENT else 0
        if failures > MAX_FAILURES:
            raise errors(reply) or plain_error(reply)
        prediction = prediction if failures else read_object(reply)
    raise_if_failed(prediction)
    return prediction


_FAILED: tuple[tuple[re.Pattern[str], Failure], ...] = (
    (re.compile(r"nsfw|safety|sensitive|content policy|flagged", re.I), Failure.CONTENT_FILTER),
    (
        re.compile(r"maximum context|context (?:length|window)|too long|too many tokens", re.I),
        Failure.CONTEXT_LENGTH,
    ),
)


def raise_if_failed(prediction: Prediction) -> None:
    status = prediction.get("status")
    if status in ("canceled", "aborted"):
        raise ProviderError(
            Failure.ERROR, Reason("prediction_canceled"), status=200, provider_code=status
        )
    if status == "failed":
        raise failed(prediction.get("error"))


def failed(error: Any) -> ProviderError:
    """Return the error of a prediction that failed after it was accepted: only its text is
    known.
    """
    message = error if isinstance(error, str) else ""
    failure = next(
        (failure for pattern, failure in _FAILED if pattern.search(message)), Failure.ERROR
    )
    return ProviderError(
        failure, message or Reason("prediction_failed"), status=200, provider_code="failed"
    )


_RESETS = re.compile(r"resets in ~?(\d+)\s*s", re.I)
_INPUT = re.compile(r"-\s*input\.([\w.]+):")
_VERSION = re.compile(
    r"invalid version|version.*(?:not exist|not found|not permitted)", re.I | re.S
)


def errors(reply: Reply) -> ProviderError | None:
    """Map errors in the form of problem+json (RFC 7807).

    A 2xx is never an error here: `finished` and the decoder read the prediction's own error.
    """
    if reply.status < 400:
        return None
    body = json_or_none(reply.body)
    message = (
        next((body[name] for name in ("detail", "title") if isinstance(body.get(name), str)), "")
        if isinstance(body, dict)
        else ""
    )
    if not message:
        return plain_error(reply)
    failure = Failure.MODEL_NOT_FOUND if reply.status == 404 else failure_of_status(reply.status)
    if reply.status == 422 and _VERSION.search(message):
        failure = Failure.MODEL_NOT_FOUND
    resets, wrong_input = _RESETS.search(message), _INPUT.search(message)
    return ProviderError(
        failure,
        message,
        status=reply.status,
        param=wrong_input[1] if wrong_input else None,
        retry_after=float(resets[1]) if resets else wait_asked_for(reply),
    )


# Outputs


def text_of(output: Any) -> str:
    """Return the text of a language model's output, which is a string or a list of pieces.

    Raises:
        ProviderError: if it is neither.
    """
    if output is None:
        return ""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return "".join(output)
    raise ProviderError(Failure.ERROR, Reason("output_no_text"), status=200)


def usage_of(prediction: Prediction) -> Usage | None:
    metrics = prediction.get("metrics")
    counts = (
        [metrics.get(name) for name in ("input_token_count", "output_token_count")]
        if isinstance(metrics, dict)
        else []
    )
    valid = [
        count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
        for count in counts
    ]
    return Usage(*valid) if any(count is not None for count in valid) else None


def usage_object(usage: Usage | None) -> dict[str, int] | None:
    """Return usage in OpenAI's form, or None if either count is unknown."""
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def chat_answer(prediction: Prediction, model: str) -> Answer:
    usage = usage_of(prediction)
    message = {"role": "assistant", "content": text_of(prediction.get("output")), "refusal": None}
    body: dict[str, Any] = {
        **_head(prediction, "chat.completion", model),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
    }
    if tokens := usage_object(usage):
        body["usage"] = tokens
    return Answer(body, usage, finish_reason="stop")


def _head(prediction: Prediction, kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{prediction.get('id')}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


# Streams


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
        self._handle = handle
        self._head = _head(prediction, "chat.completion.chunk", model)
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
                frames += self._piece(data.decode(errors="replace"))
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
        delta = {"content": text} if self._pieces else {"role": "assistant", "content": text}
        self._pieces.append(text)
        return [self._frame(delta, None)]

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
