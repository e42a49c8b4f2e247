"""Answers of the first generation of Baidu Qianfan's API, whole and streamed, and its errors.

See https://cloud.baidu.com/doc/WENXINWORKSHOP/s/jlil56u11 (ERNIE-Bot) and
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh (errors).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import ErrorMap, Frame
from providers.failures.reasons import Reason
from providers.wire.decoding import EventStream, error_in_stream
from providers.wire.openai.errors import generic_error, message_of
from providers.wire.repairs.answers import complete_head, new_id

CODES: dict[str, Failure] = {
    **dict.fromkeys(("1", "336000", "500000"), Failure.ERROR),
    **dict.fromkeys(("2", "336100"), Failure.OVERLOADED),
    **dict.fromkeys(("3", "336005"), Failure.MODEL_NOT_FOUND),  # the model is the path
    **dict.fromkeys(("4", "18", "336501", "336502"), Failure.RATE_LIMIT),
    **dict.fromkeys(("6", "336004"), Failure.PERMISSION),
    **dict.fromkeys(("13", "14", "15", "100", "110", "111"), Failure.AUTH),
    **dict.fromkeys(("17", "19"), Failure.NO_FUNDS),
    **dict.fromkeys(
        ("336001", "336002", "336003", "336006", "336101", "336104", "336105"), Failure.BAD_REQUEST
    ),
    **dict.fromkeys(("336007", "336103"), Failure.CONTEXT_LENGTH),
}
STALE = frozenset({"110", "111"})  # the token is invalid, or has expired

_OAUTH = {
    "invalid_client": Failure.AUTH,
    "unauthorized_client": Failure.AUTH,
    "rate_limit_exceeded": Failure.RATE_LIMIT,
}


def error_in(body: Any, status: int) -> ProviderError | None:
    """Return the error in a parsed body, or None."""
    if not isinstance(body, dict):
        return None
    if isinstance(oauth := body.get("error"), str):
        message = str(body.get("error_description") or oauth)
        return ProviderError(
            _OAUTH.get(oauth, Failure.ERROR), message, status=status, provider_code=oauth
        )
    code, text = body.get("error_code"), body.get("error_msg")
    if code is None and "msg" in body:
        code, text = body.get("code"), body["msg"]
    if not isinstance(code, int | str) or str(code) == "0":
        return None
    failure = CODES.get(
        str(code), Failure.RATE_LIMIT if "rate_limit" in str(code) else Failure.ERROR
    )
    return ProviderError(
        failure, str(text) if text else Reason("reported"), status=status, provider_code=str(code)
    )


def any_error_in(body: Any, status: int) -> ProviderError | None:
    """Return the error in a parsed body of any form, or None."""
    if (known := error_in(body, status)) is not None:
        return known
    error = generic_error(body, status)
    if error is None:
        return None
    return ProviderError(Failure.ERROR, message_of(error) or Reason("reported"), status=status)


def chat_answer(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Convert a whole answer to the neutral form.

    Raises:
        ProviderError: if the body is not an answer.
    """
    if not isinstance(body.get("result"), str):
        raise ProviderError(Failure.ERROR, Reason("no_result"), status=200)
    message: dict[str, Any] = {"role": "assistant", "content": body["result"]}
    if isinstance(call := body.get("function_call"), dict):
        message |= {"content": body["result"] or None, "tool_calls": [tool_call(call)]}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": finish_of(body, called="tool_calls" in message),
    }
    answer: dict[str, Any] = {
        "id": body.get("id"),
        "created": body.get("created"),
        "model": model,
        "choices": [choice],
    }
    return answer | {name: body[name] for name in ("usage", "search_info") if name in body}


def tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call.get("name") or "", "arguments": call.get("arguments") or "{}"}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def finish_of(body: Mapping[str, Any], *, called: bool) -> str:
    if body.get("need_clear_history") is True:
        return "content_filter"
    if called:
        return "tool_calls"
    if body.get("is_truncated") is True:
        return "length"
    reason = body.get("finish_reason")
    return reason if reason in ("length", "content_filter") else "stop"


class StreamDecoder(EventStream):
    """Decode pieces of `result` up to the one with is_end; usage is cumulative.

    An error comes as a line without `data:`.
    """

    def __init__(self, model: str, errors: ErrorMap) -> None:
        super().__init__(bare_objects=True)
        self._model = model
        self._errors = errors
        self._head: dict[str, Any] = {}
        self._called = False

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        piece = self._parsed(data)
        if piece is None:
            return ()
        if error_in(piece, 200) is not None or piece.get("error"):
            raise error_in_stream(self._errors, data)
        return self._piece(piece)

    def _piece(self, piece: dict[str, Any]) -> list[Frame]:
        if not self._head:
            self._head = {
                "id": piece.get("id") or new_id(),
                "created": piece.get("created"),
                "model": self._model,
            }
            complete_head(self._head, "chat.completion.chunk")
        delta = self._delta(piece)
        frames = [self._frame(delta, None)] if delta else []
        self.note_usage(piece.get("usage"))
        if piece.get("is_end") in (True, "true") or piece.get("need_clear_history") is True:
            frames += self._end(piece)
        return frames

    def _delta(self, piece: Mapping[str, Any]) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if isinstance(piece.get("result"), str) and piece["result"]:
            delta["content"] = piece["result"]
            self.output_characters += len(piece["result"])
        if isinstance(call := piece.get("function_call"), dict) and not self._called:
            self._called = True
            delta["tool_calls"] = [{"index": 0, **tool_call(call)}]
            self.output_characters += len(str(call.get("name"))) + len(str(call.get("arguments")))
        return delta

    def _end(self, piece: Mapping[str, Any]) -> list[Frame]:
        self.done = True
        self.finish_reason = finish_of(piece, called=self._called)
        return [self._frame({}, self.finish_reason), *self._usage_frame(self._head)]

    def _frame(self, delta: dict[str, Any], finish: str | None) -> Frame:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content=bool(delta))
