"""The demo's chat: it calls tools, fills JSON schemas, or repeats what it was told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Frame, Operation, Request, Usage
from providers.wire.chat_answers import characters_of
from providers.wire.decoding import ReadyStream
from providers.wire.demo.schemas import instance_of
from providers.wire.demo.texts import text_in, texts_in, tokens_in
from providers.wire.demo.tools import chosen_call
from providers.wire.preconditions import messages_of

MOST_CHOICES: Final = 128
_INSTRUCTIONS: Final = ("system", "developer")
SAYS_DEMO: Final = "Demo answer (no model was called)."


@dataclass(frozen=True, slots=True)
class Choice:
    """One of an answer's choices: a text, or the name and the JSON arguments of a tool call."""

    text: str
    finish: str
    call: tuple[str, str] | None = None

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": None}
        if self.call is not None:
            message |= {"content": None, "tool_calls": [_tool_call(*self.call)]}
        return message

    def of_chat(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "message": self.message(),
            "logprobs": None,
            "finish_reason": self.finish,
        }

    def of_completion(self, index: int) -> dict[str, Any]:
        return {
            "text": self.text,
            "index": index,
            "logprobs": None,
            "finish_reason": self.finish,
        }

    def deltas(self) -> Iterator[dict[str, Any]]:
        """Yield what a stream's chunks bring after the role, word by word."""
        if self.call is None:
            for piece in pieces_of(self.text):
                yield {"content": piece}
            return
        name, arguments = self.call
        yield {"tool_calls": [{"index": 0, **_tool_call(name, "")}]}
        for piece in pieces_of(arguments):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def choices_for(request: Request) -> tuple[list[Choice], Usage]:
    """Return the choices of a chat, which are all alike, and the usage.

    Raises:
        CannotExpress: The request contradicts itself, or wants too much.
    """
    messages = [message for message in messages_of(request.body) if isinstance(message, dict)]
    texts = [text_in(message.get("content")) for message in messages]
    last = _last_turn(messages)
    count = _count(request.body)
    choices = [_choice(request.body, last) for _number in range(count)]
    size = sum(tokens_in("".join(choice.call or (choice.text,))) for choice in choices)
    return choices, Usage(tokens_in("".join(texts)), size, 0, 0)


def _last_turn(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the last message that is not an instruction: agents put those after it too."""
    turns = [message for message in messages if message.get("role") not in _INSTRUCTIONS]
    return next(reversed(turns or messages), {})


def _choice(body: Mapping[str, Any], last: Mapping[str, Any]) -> Choice:
    text = text_in(last.get("content"))
    if (call := chosen_call(body)) is not None:
        return Choice("", "tool_calls", call)
    wanted = body.get("response_format")
    wanted = wanted if isinstance(wanted, dict) else {}
    match wanted.get("type"):
        case "json_schema":
            return Choice(_filled(wanted.get("json_schema")), "stop")
        case "json_object":
            return Choice(_json({"answer": f"{SAYS_DEMO} You wrote: {text}"}), "stop")
    said = "The tool answered" if last.get("role") == "tool" else None
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Choice(*echo(text, limit, said or "You wrote"))


def _filled(wanted: Any) -> str:
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict):
        raise CannotExpress(
            "response_format.json_schema must have a schema.", param="response_format"
        )
    return _json(instance_of(schema, "response_format"))


def echo(text: str, limit: Any, said: str = "You wrote") -> tuple[str, str]:
    """Return (answer, finish reason); a limit of tokens counts words here."""
    words = f"{SAYS_DEMO} {said}: {text}".split(" ")
    cut = isinstance(limit, int) and 0 < limit < len(words)
    return " ".join(words[:limit] if cut else words), "length" if cut else "stop"


def completed(request: Request) -> tuple[list[Choice], Usage]:
    """Return the choices of all prompts, and the total usage."""
    prompts, count = texts_in(request, "prompt"), _count(request.body)
    limit = request.body.get("max_tokens")
    choices = [Choice(*echo(prompt, limit)) for prompt in prompts for _number in range(count)]
    tokens = sum(tokens_in(choice.text) for choice in choices)
    return choices, Usage(sum(map(tokens_in, prompts)), tokens, 0, 0)


def _count(body: Mapping[str, Any]) -> int:
    count = body.get("n")
    if type(count) is not int:
        return 1
    if count > MOST_CHOICES:
        raise CannotExpress(f"n must be at most {MOST_CHOICES}.", param="n")
    return max(1, count)


def pieces_of(text: str) -> Iterator[str]:
    """Yield the words of a text, each with the space before it."""
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def head_of(request: Request, kind: str) -> dict[str, Any]:
    return {
        "id": f"demo-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


def usage_json(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


class EchoDecoder(ReadyStream):
    """Decoder that needs no bytes: finish() returns everything, one word per frame."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._is_chat = request.operation is Operation.CHAT
        self._choices, self._usage = (choices_for if self._is_chat else completed)(request)
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        self._head = head_of(request, kind)
        self.usage = self._usage
        self.finish_reason = self._choices[0].finish
        self.output_characters = sum(characters_of(choice.message()) for choice in self._choices)

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        for index, choice in enumerate(self._choices):
            if self._is_chat:
                yield self._frame(index, {"delta": {"role": "assistant", "content": ""}})
                for delta in choice.deltas():
                    yield self._frame(index, {"delta": delta}, content=True)
            else:
                for piece in pieces_of(choice.text):
                    yield self._frame(index, {"text": piece}, content=True)
            end: dict[str, Any] = {"delta": {}} if self._is_chat else {"text": ""}
            yield self._frame(index, end, choice.finish)
        usage = {**self._head, "choices": [], "usage": usage_json(self._usage)}
        yield Frame(orjson.dumps(usage), usage_only=True)

    def _frame(
        self, index: int, piece: dict[str, Any], finish: str | None = None, *, content: bool = False
    ) -> Frame:
        choice = {"index": index, **piece, "logprobs": None, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content)
