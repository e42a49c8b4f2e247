"""Replicate's predictions: start, poll and read them, whole or as a stream.

See https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Call, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire import usage
from providers.wire.http import (
    failure_of_status,
    json_or_none,
    path_segment,
    plain_error,
    read_object,
    wait_asked_for,
)

# Seconds for which the starting call waits for the result. Keep it short: without the id, the
# prediction cannot be cancelled meanwhile.
WAIT = "wait=10"
ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
FIRST_DELAY = 0.5  # seconds between two polls; grows by half each time
LONGEST_DELAY = 5.0  # seconds
# Statuses of polls that say nothing about the running prediction: poll again.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
MAX_FAILURES = 3  # transient ones in a row
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
    r"invalid version|\A(?>.*?version).*(?:not exist|not found|not permitted)", re.I | re.S
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
    return usage.usage_of(prediction.get("metrics"))


def chat_answer(prediction: Prediction, model: str) -> Answer:
    neutral = usage_of(prediction)
    message = {"role": "assistant", "content": text_of(prediction.get("output")), "refusal": None}
    body: dict[str, Any] = {
        **head_of(prediction, "chat.completion", model),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
    }
    if shown := usage.usage_object(neutral):
        body["usage"] = shown
    return Answer(body, neutral, finish_reason="stop")


def head_of(prediction: Prediction, kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{prediction.get('id')}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
