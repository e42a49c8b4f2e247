"""Separate reasoning that a server leaves in the text between <think> and </think>, whole and
streamed.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any

import orjson

from providers.declaration.spec import Decoder, ErrorMap, Frame, Reply
from providers.wire.chat_answers import Tidy, choices_of
from providers.wire.openai.stream import ChatDecoder
from providers.wire.repairs.answers import new_id

OPEN, CLOSE = "<think>", "</think>"
MAX_BLANKS = 64  # whitespace characters allowed before the opening tag


class _State(Enum):
    START = auto()  # only whitespace so far, or a part of the tag
    THINKING = auto()
    AFTER = auto()  # whitespace between the closing tag and the text
    TEXT = auto()


class ThinkSplitter:
    """Split the pieces of one text into reasoning and text, wherever they are cut.

    Only a tag at the very start counts: later ones are part of the answer. Whitespace next to the
    opening tag and after the closing one is dropped.
    """

    __slots__ = ("_held", "_state", "_thought")

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""  # possibly a part of a tag
        self._thought = False  # whether any reasoning was returned

    @property
    def settled(self) -> bool:
        """Tell whether everything that follows is text and passes through."""
        return self._state is _State.TEXT

    def settle(self) -> None:
        """Treat everything that follows as text: the server separates the reasoning itself."""
        self._state = _State.TEXT

    def feed(self, piece: str) -> tuple[str, str]:
        """Return the (reasoning, text) that are certain after this piece."""
        text, self._held = self._held + piece, ""
        reasoning = ""
        if self._state is _State.START:
            text = self._started(text)
        if self._state is _State.THINKING:
            reasoning, text = self._thinking(text)
        if self._state is _State.AFTER:
            text = text.lstrip()
            if text:
                self._state = _State.TEXT
        return reasoning, text

    def finish(self) -> tuple[str, str]:
        """Return the (reasoning, text) held back."""
        held, self._held = self._held, ""
        return (held, "") if self._state is _State.THINKING else ("", held)

    def _started(self, text: str) -> str:
        start = text.lstrip()
        if len(text) - len(start) > MAX_BLANKS:
            self._state = _State.TEXT
        elif start.startswith(OPEN):
            self._state = _State.THINKING
            return start[len(OPEN) :]
        elif OPEN.startswith(start):
            self._held = text
            return ""
        else:
            self._state = _State.TEXT
        return text

    def _thinking(self, text: str) -> tuple[str, str]:
        reasoning, tag, rest = text.partition(CLOSE)
        if tag:
            self._state = _State.AFTER
        else:
            partial = partial_tag(reasoning)
            self._held = reasoning[len(reasoning) - partial :]
            reasoning = reasoning[: len(reasoning) - partial]
        if not self._thought:
            reasoning = reasoning.lstrip()
            self._thought = bool(reasoning)
        return reasoning, rest


def partial_tag(text: str) -> int:
    """Count the characters at the end that may start the closing tag."""
    at = text.rfind("<", -len(CLOSE) + 1)
    return len(text) - at if at >= 0 and CLOSE.startswith(text[at:]) else 0


# Some chat templates write the opening tag themselves, so that the text only holds the closing
# one, at the end of a line.
_UNOPENED = re.compile(r"</think>[ \t]*(?:\n|\Z)")


def split_whole(text: str) -> tuple[str, str]:
    """Split like split_thinking, also if the opening tag is missing."""
    unopened = _UNOPENED.search(text)
    if unopened is not None and OPEN not in text[: unopened.start()]:
        return text[: unopened.start()].strip(), text[unopened.end() :].lstrip()
    return split_thinking(text)


def split_thinking(text: str) -> tuple[str, str]:
    """Split a whole text into (reasoning, text)."""
    splitter = ThinkSplitter()
    reasoning, answer = splitter.feed(text)
    last_reasoning, last_answer = splitter.finish()
    return reasoning + last_reasoning, answer + last_answer


def tidy_thinking(body: dict[str, Any]) -> bool:
    """Move reasoning from a whole answer's texts to `reasoning_content`; return whether there
    was any.
    """
    changed = False
    for choice in choices_of(body):
        message = choice.get("message")
        if (
            not isinstance(message, dict)
            or message.get("reasoning_content")
            or not isinstance(message.get("content"), str)
        ):
            continue
        reasoning, text = split_whole(message["content"])
        if text != message["content"]:
            message["content"] = text
            if reasoning:
                message["reasoning_content"] = reasoning
            changed = True
    return changed


def thinking_stream_of(reply: Reply, errors: ErrorMap, tidy: Tidy | None = None) -> Decoder:
    """Return a decoder like stream_of that takes the reasoning out of the text.

    Args:
        tidy: the provider's own repairs, made first.
    """

    def tidy_whole(body: dict[str, Any]) -> bool:
        changed = tidy(body) if tidy is not None else False
        return tidy_thinking(body) or changed

    return ThinkTagDecoder(errors, tidy, tidy_whole=tidy_whole)


class ThinkTagDecoder(ChatDecoder):
    """Parse every chunk until the first choice is past its reasoning, then relay like
    ChatDecoder.
    """

    __slots__ = ("_inner", "_last", "_splitters")

    def __init__(
        self, errors: ErrorMap, tidy: Tidy | None = None, *, tidy_whole: Tidy | None = None
    ) -> None:
        super().__init__(errors, self._split, tidy_all=True, tidy_whole=tidy_whole)
        self._inner = tidy
        self._splitters: dict[int, ThinkSplitter] = {}
        self._last: dict[str, Any] = {}  # head of the last chunk

    def _split(self, chunk: dict[str, Any]) -> bool:
        changed = self._inner(chunk) if self._inner is not None else False
        self._last = chunk
        for choice in choices_of(chunk):
            index, delta = choice.get("index", 0), choice.get("delta")
            if isinstance(delta, dict) and isinstance(index, int):
                splitter = self._splitters.setdefault(index, ThinkSplitter())
                changed = (
                    split_delta(splitter, delta, is_last=bool(choice.get("finish_reason")))
                    or changed
                )
        first = self._splitters.get(0)
        self._tidy_all = first is None or not first.settled
        return changed

    def _closing(self) -> list[Frame]:
        return [*self._rest(), *super()._closing()]

    def _rest(self) -> list[Frame]:
        """Send the text held back if a server ends its stream without a finish reason."""
        frames = []
        for index, splitter in self._splitters.items():
            delta: dict[str, Any] = {}
            if split_delta(splitter, delta, is_last=True):
                choice = {"index": index, "delta": delta, "finish_reason": None}
                head = {"id": new_id(), **self._last, "choices": [choice]}
                head.pop("usage", None)
                self.output_characters += sum(map(len, delta.values()))
                frames.append(Frame(orjson.dumps(head), content=True))
        return frames


def split_delta(splitter: ThinkSplitter, delta: dict[str, Any], *, is_last: bool) -> bool:
    """Split one delta's content, and return whether it changed."""
    if splitter.settled:
        return False
    if delta.get("reasoning_content"):
        held = "".join(splitter.finish())
        splitter.settle()
        delta["content"] = held + (delta.get("content") or "")
        return bool(held)
    content = delta.get("content")
    reasoning, text = splitter.feed(content) if isinstance(content, str) else ("", "")
    if is_last:
        last_reasoning, last_text = splitter.finish()
        reasoning, text = reasoning + last_reasoning, text + last_text
    if not reasoning and text == (content or ""):
        return False
    delta["content"] = text
    if reasoning:
        delta["reasoning_content"] = reasoning
    return True
