"""iFLYTEK Spark's own forms: errors with status 200, incomplete answers, signed URLs.

See https://www.xfyun.cn/doc/spark/HTTP调用文档.html, https://www.xfyun.cn/doc/spark/X1http.html and
https://www.xfyun.cn/doc/spark/Spark-X2.5.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Frame, Reply
from providers.failures.reasons import Reason
from providers.wire.chat_answers import (
    answer_of,
    characters_of,
    choices_of,
)
from providers.wire.decoding import EventStream, broken_off
from providers.wire.http import (
    failure_of_status,
    json_or_none,
    plain_error,
    read_object,
    wait_asked_for,
)
from providers.wire.openai.errors import generic_error, message_of
from providers.wire.openai.stream import ReadyAnswer
from providers.wire.repairs.answers import complete_head, new_id
from providers.wire.repairs.chunks import ChunkRepairs
from providers.wire.repairs.messages import finish_reason_of
from providers.wire.repairs.plain import only_text
from providers.wire.usage import reported_in

NOT_OPENED = "11200"  # the key is valid, but not for this version of the model

# https://www.xfyun.cn/doc/spark/Web.html, section on error codes.
CODES: dict[str, Failure] = {
    **dict.fromkeys(("10004", "10005", "10163"), Failure.BAD_REQUEST),
    **dict.fromkeys(("10006", "10007", "11202", "11203"), Failure.RATE_LIMIT),
    **dict.fromkeys(("10008", "10110"), Failure.OVERLOADED),
    **dict.fromkeys(("10013", "10014", "10019"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("10015", "10016", NOT_OPENED), Failure.PERMISSION),
    "10017": Failure.TIMEOUT,
    "10907": Failure.CONTEXT_LENGTH,
    "11201": Failure.NO_FUNDS,
}


# Errors


def spark_errors(reply: Reply) -> ProviderError | None:
    """Map `{"error": {...}}`, `{"code", "message", "sid"}`, the `{"header": {...}}` of
    embeddings, and the gateway's `{"message"}`.
    """
    error = error_in(json_or_none(reply.body), reply.status)
    if error is not None:
        error.retry_after = wait_asked_for(reply)
        return error
    return plain_error(reply) if reply.status >= 400 else None


def error_in(body: Any, status: int) -> ProviderError | None:
    """Return the error in a parsed body, whatever its status, or None."""
    other = generic_error(body, status)
    if not isinstance(body, dict):
        body = other or {}
    error = next(
        (part for name in ("error", "header") if isinstance(part := body.get(name), dict)), body
    )
    code, message = _text(error.get("code")), _text(error.get("message"))
    if other is not None:
        message = message_of(other) or message
    elif code in ("", "0") and (status < 400 or not message):
        return None
    failure = CODES.get(code)
    if failure is None:
        failure = failure_of_status(status) if status >= 400 else Failure.ERROR
    if failure is Failure.BAD_REQUEST and "param model" in message:
        failure = Failure.MODEL_NOT_FOUND
    return ProviderError(
        failure,
        message or Reason("reported"),
        status=status,
        provider_code="" if code == "0" else code,
    )


def _text(value: Any) -> str:
    """Convert a code, which may be a number or a text."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


# Answers


def spark_answer(body: dict[str, Any], model: str) -> Answer:
    """Convert a whole answer to the neutral form.

    Raises:
        ProviderError: if it is not an answer, or an error with status 200.
    """
    error = error_in(body, 200)
    if error is not None:
        raise error
    body = {
        **_head(body, model),
        **{name: value for name, value in body.items() if name not in _OWN_HEAD},
    }
    for choice in choices_of(body):
        message = choice.get("message")
        if isinstance(message, dict) and message.get("tool_calls"):
            message["tool_calls"] = [_tool_call(call) for call in _as_list(message["tool_calls"])]
        called = isinstance(message, dict) and bool(message.get("tool_calls"))
        choice["finish_reason"] = finish_of(choice.get("finish_reason"), called)
    return answer_of(body)


_OWN_HEAD = frozenset({"code", "message", "sid"})


def _head(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Use the session id, which the vendor's support asks for, as the answer's id."""
    return {
        "id": body.get("id") or body.get("sid") or new_id(),
        "model": body.get("model") or model,
    }


def finish_of(reason: Any, called: bool) -> str:
    """Return the finish reason, which the first versions of the API leave out."""
    if called and reason in (None, "", "stop"):
        return "tool_calls"
    return finish_reason_of(reason) or "stop"


def _as_list(calls: Any) -> list[Any]:
    """Wrap a single tool call, which the first versions of the API send as an object."""
    return calls if isinstance(calls, list) else [calls]


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **call,
        "id": call.get("id") or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": _function(call),
    }


def _function(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    if isinstance(arguments, str) or arguments is None:
        return dict(function)
    return {**function, "arguments": orjson.dumps(arguments).decode()}


# Streams


class SparkDecoder(EventStream):
    """Decode chunks in OpenAI's form, and send finish reason and usage once, at the end.

    The vendor puts usage into the last piece of text or a chunk of its own, usually leaves out the
    finish reason, and reports failures as chunks with a code. An answer stopped by its moderation
    after the first pieces ends as filtered.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self._head: dict[str, Any] = {}
        self._called = False
        self._repairs = ChunkRepairs()

    def _unended(self) -> Sequence[Frame]:
        if self.finish_reason is None and self.usage is None:
            raise broken_off()
        return self._end()

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        """Convert one JSON body instead of a stream, usually an error with status 200."""
        answer = json_or_none(body)
        if not choices_of(answer):
            return super()._whole_body(body)
        return self._answered(ReadyAnswer(spark_answer(answer, self._model)))

    def _error_of(self, body: bytes) -> ProviderError | None:
        return spark_errors(Reply(200, {}, body))

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        if data.strip() == b"[DONE]":
            return self._end()
        chunk = self._parsed(data)
        return () if chunk is None else self._chunk(chunk, data)

    def _chunk(self, chunk: dict[str, Any], data: bytes) -> list[Frame]:
        error = error_in(chunk, 200)
        if error is not None:
            if error.failure is Failure.CONTENT_FILTER and self.output_characters:
                return self._end("content_filter")
            raise error
        if not self._head:
            self._head = {
                **_head(chunk, self._model),
                "object": "chat.completion.chunk",
                "created": chunk.get("created"),
            }
            complete_head(self._head, "chat.completion.chunk")
        self.note_usage(reported_in(chunk))
        self._repairs.repair(chunk)
        choices = [self._choice(choice) for choice in chunk["choices"]]
        characters = sum(characters_of(choice["delta"]) for choice in choices)
        self.output_characters += characters
        if not characters:
            return []
        frame = self._frame(choices, content=True)
        self._plain.learn(data, frame.data, only_text(choices))
        return [frame]

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        reason, delta = choice.get("finish_reason"), choice["delta"]
        if isinstance(reason, str) and reason:
            self.finish_reason = reason
        self._called = self._called or bool(delta.get("tool_calls"))
        return {"index": choice["index"], "delta": delta, "finish_reason": None}

    def _end(self, reason: str | None = None) -> list[Frame]:
        self.done = True
        self.finish_reason = reason or finish_of(self.finish_reason, self._called)
        self._head = self._head or {
            **_head({}, self._model),
            "object": "chat.completion.chunk",
            "created": None,
        }
        complete_head(self._head, "chat.completion.chunk")
        unfinished = self._repairs.unfinished() or [{"index": 0, "delta": {}}]
        ends = [{**choice, "finish_reason": self.finish_reason} for choice in unfinished]
        return [self._frame(ends), *self._usage_frame(self._head)]

    def _frame(self, choices: list[dict[str, Any]], *, content: bool = False) -> Frame:
        return Frame(orjson.dumps({**self._head, "choices": choices}), content)


# Embeddings


def signed(url: str, key: str, secret: str, now: float) -> str:
    """Sign the URL of a POST with HMAC-SHA256.

    See https://www.xfyun.cn/doc/spark/general_url_authentication.html

    Args:
        now: seconds since 1970; the host tolerates a difference of five minutes.
    """
    parts, date = urlsplit(url), formatdate(now, usegmt=True)
    line = f"host: {parts.netloc}\ndate: {date}\nPOST {parts.path or '/'} HTTP/1.1"
    signature = base64.b64encode(
        hmac.new(secret.encode(), line.encode(), hashlib.sha256).digest()
    ).decode()
    authorization = (
        f'api_key="{key}", algorithm="hmac-sha256", headers="host date request-line", '
        f'signature="{signature}"'
    )
    query = urlencode(
        {
            "authorization": base64.b64encode(authorization.encode()).decode(),
            "date": date,
            "host": parts.netloc,
        }
    )
    return f"{url}?{query}"


def embedding_body(text: str, app_id: str, domain: str) -> dict[str, Any]:
    """Build the body for one text.

    Args:
        domain: "para" for documents, "query" for queries.
    """
    messages = base64.b64encode(
        orjson.dumps({"messages": [{"content": text, "role": "user"}]})
    ).decode()
    return {
        "header": {"app_id": app_id, "status": 3},
        "parameter": {"emb": {"domain": domain, "feature": {"encoding": "utf8"}}},
        "payload": {"messages": {"text": messages}},
    }


def vector_in(reply: Reply) -> str:
    """Return the vector in base64 (float32, little-endian), as it comes.

    Raises:
        ProviderError: if the reply contains no vector.
    """
    body = read_object(reply)
    text = body["payload"]["feature"]["text"]
    if not isinstance(text, str) or len(base64.b64decode(text, validate=True)) % 4:
        raise ProviderError(Failure.ERROR, Reason("no_embedding"), status=reply.status)
    return text
