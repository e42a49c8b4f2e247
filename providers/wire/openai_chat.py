"""OpenAI's chat completions, which are the neutral form themselves: passed through, read only as far as needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from providers.errors import CannotExpress, Failure, ProviderError
from providers.spec import Access, Answer, Decoder, ErrorMap, Exchange, Frame, MakeExchange, ModelFacts, Provider, Reply, Request, Usage
from providers.wire.http import Auth, json_or_none, media_type, post_json, read_object, unreadable, url_of
from providers.wire.openai_errors import error_object
from providers.wire.sse import EventParser

# Changes a fresh shallow copy of the body before it is sent.
Adjust = Callable[[dict[str, Any], Provider, Access, ModelFacts], None]
# Repairs an answer or a chunk in place; True where something was changed.
Tidy = Callable[[dict[str, Any]], bool]

# A chunk that holds one plain piece of text and nothing else we must know of. No escapes inside: what the group matches
# is the text itself.
_PLAIN_PIECE = re.compile(
    r'"choices":\[\{"index":0,"delta":\{(?:"role":"assistant",)?"content":"([^"\\\x00-\x1f]+)"(?:,"refusal":null)?\},?'
    r'(?:"logprobs":null,)?"finish_reason":null(?:,"logprobs":null)?\}\]'
)


def openai_chat(
    *,
    auth: Auth,
    path: str = "/chat/completions",
    version: str = "/v1",
    adjust: Adjust | None = None,
    tidy: Tidy | None = None,
    tidy_all: bool = False,
    usage_option: bool = True,
) -> MakeExchange:
    """A MakeExchange for chat.

    adjust: the provider's quirks of requests. tidy: of answers; asked for chunks that are more than plain text, with
    tidy_all for every one. usage_option: ask for usage in streams by `stream_options`.
    """

    def exchange(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
        body = neutral_body(request, facts)
        if request.stream and usage_option:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        if adjust is not None:
            adjust(body, provider, access, facts)
        url = url_of(provider, access, path, version=version)
        reply = yield post_json(url, auth(access), body, stream=request.stream)
        if request.stream:
            return stream_of(reply, ChatDecoder(provider.errors, tidy, tidy_all=tidy_all), tidy)
        return answer_of(read_object(reply), tidy)

    return exchange


def neutral_body(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """A copy of the request's body that may be changed at its top level, without what the model does not take."""
    body = {**request.body, "model": request.model}
    if request.stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    drop_unsupported(body, facts)
    return body


def drop_unsupported(body: dict[str, Any], facts: ModelFacts) -> None:
    """Takes out the parameters that the model's facts call unsupported: sent, they would fail the whole call."""
    thinks = body.get("reasoning_effort") != "none"
    for name, rule in facts.parameters.items():
        if name in body and rule.get("supported") is False and (thinks or not rule.get("with_effort_none")):
            del body[name]


def usage_of(usage: Any) -> Usage | None:
    """OpenAI's usage object; None where there is none."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    cached = _count(prompt, "cached_tokens")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens")
    return Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cached, _count(completion, "reasoning_tokens"))


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _count(holder: dict[str, Any], name: str) -> int | None:
    value = holder.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def choices_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    choices = body.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def answer_of(body: dict[str, Any], tidy: Tidy | None = None) -> Answer:
    """A whole chat answer. Raises ProviderError where the body is no chat answer."""
    choices = choices_of(body)
    if not choices:
        raise ProviderError(Failure.ERROR, "The provider's answer holds no choices.", status=200)
    if tidy is not None:
        tidy(body)
    finish = choices[0].get("finish_reason")
    return Answer(body, usage_of(body.get("usage")), finish_reason=finish if isinstance(finish, str) else None)


def stream_of(reply: Reply, decoder: Decoder, tidy: Tidy | None = None) -> Decoder:
    """The decoder of a body that was left open: the given one, or one for servers that do not stream.

    Raises ProviderError for a web page.
    """
    kind = media_type(reply)
    if kind in ("text/html", "application/xhtml+xml"):
        raise unreadable(reply)
    if kind == "application/json":
        return WholeBody(reply, decoder, tidy)
    return decoder


def characters_of(part: dict[str, Any]) -> int:
    """Characters of text, reasoning and tool arguments in a message or delta."""
    total = sum(len(value) for name in ("content", "reasoning_content", "reasoning", "refusal") if isinstance(value := part.get(name), str))
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            total += len(function.get("arguments") or "") + len(function.get("name") or "")
    return total


class ChatDecoder:
    """Relays chunks frame by frame; at most one decode per frame, none for plain pieces of text."""

    __slots__ = ("_errors", "_parser", "_tidy", "_tidy_all", "done", "finish_reason", "output_characters", "usage")

    def __init__(self, errors: ErrorMap, tidy: Tidy | None = None, *, tidy_all: bool = False) -> None:
        self._errors = errors
        self._tidy = tidy
        self._tidy_all = tidy_all
        self._parser = EventParser()
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False

    def feed(self, data: bytes) -> Sequence[Frame]:
        if self.done:
            return ()
        return self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        """Ends the stream. Raises ProviderError where it broke off before its end."""
        frames = [] if self.done else self._frames(self._parser.finish())
        if not self.done and self.finish_reason is None:
            raise broken_off()
        self.done = True
        return frames

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        frames: list[Frame] = []
        for _event, data in events:
            if data == b"[DONE]" or data.strip() == b"[DONE]":
                self.done = True
                break
            if data and not data.isspace():
                frames.append(self._plain(data) or self._frame(data))
        return frames

    def _plain(self, data: bytes) -> Frame | None:
        """The frame of a plain piece of text, told by its bytes alone; None for everything else."""
        if self._tidy_all or b'"usage":{' in data or b'"error"' in data or b"\n" in data:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        match = _PLAIN_PIECE.search(text)
        if match is None or text[0] != "{" or text[-1] != "}":
            return None
        self.output_characters += match.end(1) - match.start(1)
        return Frame(data, True)

    def _frame(self, data: bytes) -> Frame:
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as problem:
            raise ProviderError(Failure.ERROR, "The provider sent a piece of the answer that could not be read.", status=200) from problem
        if not isinstance(chunk, dict):
            raise ProviderError(Failure.ERROR, "The provider sent a piece of the answer that could not be read.", status=200)
        if error_object(chunk) is not None and not chunk.get("choices"):
            raise error_in_stream(self._errors, data)
        changed = self._tidy(chunk) if self._tidy is not None else False
        content = self._note(chunk)
        usage_only = bool(chunk.get("usage")) and not chunk.get("choices")
        return Frame(orjson.dumps(chunk) if changed or b"\n" in data else data, content, usage_only)

    def _note(self, chunk: dict[str, Any]) -> bool:
        """Keeps usage, finish reason and size; True where the chunk holds a piece of the answer."""
        self.usage = usage_of(chunk.get("usage")) or self.usage
        characters = 0
        for choice in choices_of(chunk):
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                self.finish_reason = finish
            delta = choice.get("delta")
            if isinstance(delta, dict):
                characters += characters_of(delta)
        self.output_characters += characters
        return characters > 0


class WholeBody:
    """Decoder for a server that was asked for a stream and sends one JSON body, or an error with status 200."""

    def __init__(self, reply: Reply, decoder: Decoder, tidy: Tidy | None) -> None:
        self._reply = reply
        self._decoder = decoder
        self._tidy = tidy
        self._parts: list[bytes] = []
        self._size = 0
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False

    def feed(self, data: bytes) -> Sequence[Frame]:
        self._size += len(data)
        if self._size > 16 * 1024 * 1024:
            raise ProviderError(Failure.ERROR, "The provider's answer is longer than 16 MiB.", status=200)
        self._parts.append(data)
        return ()

    def finish(self) -> Sequence[Frame]:
        data = b"".join(self._parts)
        errors = getattr(self._decoder, "_errors", None)
        body = json_or_none(data)
        if errors is not None and error_object(body) is not None and not choices_of(body):
            raise error_in_stream(errors, data)
        if not isinstance(body, dict):
            raise unreadable(Reply(self._reply.status, self._reply.headers, data))
        answer = answer_of(body, self._tidy)
        self.usage, self.finish_reason, self.done = answer.usage, answer.finish_reason, True
        self.output_characters = sum(characters_of(choice.get("message") or {}) for choice in choices_of(body))
        return frames_of(body)


def frames_of(body: dict[str, Any]) -> list[Frame]:
    """A whole chat answer told as a stream: one chunk with all of it, one with usage."""
    head = {
        "id": body.get("id") or "chatcmpl-0",
        "object": "chat.completion.chunk",
        "created": body.get("created") or 0,
        "model": body.get("model") or "",
    }
    choices = [
        {
            "index": choice.get("index", number),
            "delta": _delta_of(choice.get("message") or {}),
            "finish_reason": choice.get("finish_reason"),
        }
        for number, choice in enumerate(choices_of(body))
    ]
    frames = [Frame(orjson.dumps({**head, "choices": choices}), content=True)]
    if isinstance(body.get("usage"), dict):
        frames.append(Frame(orjson.dumps({**head, "choices": [], "usage": body["usage"]}), usage_only=True))
    return frames


def _delta_of(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {**message, "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]}


def broken_off() -> ProviderError:
    return ProviderError(Failure.ERROR, "The provider's stream broke off before its end.", status=200)


def error_in_stream(errors: ErrorMap, data: bytes) -> ProviderError:
    """The error that came as a frame after status 200."""
    return errors(Reply(200, {}, data)) or ProviderError(Failure.ERROR, "The provider reported an error inside the stream.", status=200)


def refuse_tools_beside_reasoning(body: dict[str, Any], facts: ModelFacts) -> None:
    """Raises CannotExpress for tools on models that take them by another API only while they reason."""
    if body.get("tools") and "tools_responses_only" in facts.features and body.get("reasoning_effort") != "none":
        raise CannotExpress('This model takes tools only with reasoning_effort "none", where it allows that value.', param="tools")
