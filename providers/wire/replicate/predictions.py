"""Replicate's predictions: started, asked for, read; whole and as a stream.
https://replicate.com/docs/reference/http
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

# seconds that "start" waits for the result; nobody can cancel meanwhile, since the id is not known
# yet
WAIT = "wait=10"
ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
FIRST_DELAY = 0.5  # seconds between two looks at a prediction; grows by half each time
LONGEST_DELAY = 5.0
TIRED = frozenset(
    {429, 500, 502, 503, 504}
)  # a prediction that runs is not given up for one of these
PATIENCE = 3  # of them in a row
LOOKS_FOR_FIGURES = 2  # at a prediction whose text came whole
NO_STREAM = frozenset(range(300, 600))

Prediction = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handle:
    """How one prediction is asked for and ended. url: of the prediction, at the account's own base
    URL.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)

    def look(self, number: int, *, accept: frozenset[int] = TIRED) -> Call:
        """The call that asks for its state. number: of looks before this one."""
        delay = min(FIRST_DELAY * 1.5**number, LONGEST_DELAY)
        return Call(
            "GET",
            self.url,
            {**self.headers, "Accept": "application/json"},
            accept=accept,
            delay=delay,
            undo=self.cancel(),
        )

    def figures(self, number: int) -> Call:
        """The same for a prediction that is over: nothing is left to cancel, and no failure spoils
        the answer.
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
    """Built from the id: the addresses in the answer are another host's where a relay is between."""
    identity = prediction.get("id")
    if not isinstance(identity, str) or not identity:
        raise ProviderError(Failure.ERROR, Reason("no_prediction"), status=200)
    return Handle(f"{predictions_url}/{path_segment(identity)}", headers)


def finished(
    handle: Handle, prediction: Prediction, *, waited: bool
) -> Generator[Call, Reply, Prediction]:
    """Asks until the prediction is over. waited: this is the answer to a request that was told to
    wait. Raises ProviderError.
    """
    number = failures = 0
    # An answer that was waited for is complete as soon as it holds an output, although it may still
    # say "processing".
    while prediction.get("status") not in ENDED and not (
        waited and prediction.get("status") == "processing" and prediction.get("output")
    ):
        reply = yield handle.look(number)
        number, waited = number + 1, False
        failures = failures + 1 if reply.status in TIRED else 0
        if failures > PATIENCE:
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
    """The error of a prediction that was accepted and failed: there is nothing but its text to go
    by.
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
    """An ErrorMap of problem+json (RFC 7807). A 2xx is never an error here: what a prediction says
    is read where it is awaited.
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
    resets, wrong = _RESETS.search(message), _INPUT.search(message)
    return ProviderError(
        failure,
        message,
        status=reply.status,
        param=wrong[1] if wrong else None,
        retry_after=float(resets[1]) if resets else wait_asked_for(reply),
    )


# Outputs


def text_of(output: Any) -> str:
    """The text of a language model's output: a text, or a list of its pieces. Raises ProviderError."""
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
    known = [
        count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
        for count in counts
    ]
    return Usage(*known) if any(count is not None for count in known) else None


def shown(usage: Usage | None) -> dict[str, int] | None:
    """Usage as OpenAI's clients know it; None where one half is not known."""
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
    if counted := shown(usage):
        body["usage"] = counted
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
    """The call that opens the prediction's stream; None where there is none, or at a host that must
    not see the token.
    """
    urls = prediction.get("urls")
    url = urls.get("stream") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not is_trusted(url, handle.url):
        return None
    headers = {**handle.headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
    return Call("GET", url, headers, stream=True, accept=NO_STREAM, undo=handle.cancel())


def is_trusted(url: str, own: str) -> bool:
    """Whether the account's token may be sent there: to the origin it was meant for, and from
    Replicate's own to its stream hosts.
    """
    try:
        there, here = urlsplit(url), urlsplit(own)
        if (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port):
            return there.username is None
        return (
            there.scheme == "https"
            and there.port in (None, 443)
            and there.username is None
            and _is_theirs(there.hostname, here.hostname)
        )
    except ValueError:
        return False


def _is_theirs(there: str | None, here: str | None) -> bool:
    return (here or "").endswith(".replicate.com") and (there or "").endswith(
        (".replicate.com", ".replicate.net")
    )


class PredictionDecoder(Decoding):
    """A prediction's text as chunks: from its event stream, and from looks at the prediction where
    the stream ended early or is none.

    The last look gives the figures (and the error), which the event stream does not hold.
    """

    def __init__(
        self, prediction: Prediction, handle: Handle, model: str, *, is_open: bool
    ) -> None:
        super().__init__()
        self._parser = EventParser()
        self._handle = handle
        self._head = _head(prediction, "chat.completion.chunk", model)
        self._pieces: list[str] = []
        self._looks = 0
        self._failures = 0
        self._failed = False  # the stream says so; why, the prediction says
        self.next_call: Call | None = None if is_open else handle.look(0)

    def feed(self, data: bytes) -> Sequence[Frame]:
        return [] if self.done else self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        """The end of the event stream, which is not always the end of the answer."""
        if self.done or self.next_call is not None:
            return ()
        frames = self._frames(self._parser.finish())
        if not self.done:
            self.next_call = self._handle.look(0)
        return frames

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Takes a look's reply. Raises ProviderError for a prediction that failed."""
        self.next_call = None
        self._looks += 1
        if reply.status >= 300:
            return self._without(reply)
        self._failures = 0
        prediction = read_object(reply)
        raise_if_failed(prediction)
        frames = self._beyond(text_of(prediction.get("output")))
        if prediction.get("status") == "succeeded":
            self.usage = usage_of(prediction)
            return [*frames, *self._end()]
        return [*frames, *self._look_again()]

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        frames: list[Frame] = []
        for event, data in events:
            if event == b"output":
                frames += self._piece(data.decode(errors="replace"))
            elif event == b"error":
                raise failed(_field(data, "detail") or data.decode(errors="replace"))
            elif event == b"done":
                self._failed = _field(data, "reason") is not None
                self.done, self.next_call = True, self._handle.figures(0)
                break
        return frames

    def _piece(self, text: str) -> list[Frame]:
        if not text:
            return []
        self.output_characters += len(text)
        delta = {"content": text} if self._pieces else {"role": "assistant", "content": text}
        self._pieces.append(text)
        return [self._frame(delta, None)]

    def _beyond(self, text: str) -> list[Frame]:
        """What the output holds more than was shown so far."""
        seen = "".join(self._pieces)
        if text.startswith(seen):
            return self._piece(text[len(seen) :])
        if self.done:
            return []
        raise broken_off()

    def _look_again(self) -> Sequence[Frame]:
        if not self.done:
            self.next_call = self._handle.look(self._looks)
            return ()
        if self._failed:
            raise failed(None)
        if self._looks < LOOKS_FOR_FIGURES:
            self.next_call = self._handle.figures(self._looks)
            return ()
        return self._end()

    def _without(self, reply: Reply) -> Sequence[Frame]:
        """A look that was refused: an answer that is whole ends without figures, another one is
        asked for again.
        """
        self._failures += 1
        if not self.done and self._failures > PATIENCE:
            raise errors(reply) or plain_error(reply)
        return self._end() if self.done and not self._failed else self._look_again()

    def _end(self) -> list[Frame]:
        self.done, self.finish_reason = True, "stop"
        frames = [self._frame({} if self._pieces else {"role": "assistant", "content": ""}, "stop")]
        if usage := shown(self.usage):
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
