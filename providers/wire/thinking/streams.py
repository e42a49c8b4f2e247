"""Separate reasoning from the text of streams, also if its opening tag is missing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import orjson

from providers.declaration.spec import Decoder, ErrorMap, Frame
from providers.wire.chat_answers import Tidy, choices_of
from providers.wire.memory import Remembered
from providers.wire.openai.stream import ChatDecoder
from providers.wire.repairs.answers import new_id
from providers.wire.thinking.tags import (
    CLOSE,
    UNOPENED,
    State,
    ThinkSplitter,
    is_unopened,
    tidy_thinking,
)

# How models begin their thoughts and hardly an answer: they speak of the user, or to themselves.
_OPENINGS: Final = (
    *(
        before + thought
        for before in ("", "okay, ", "ok, ", "alright, ", "so, ", "so ", "now, ")
        for thought in ("the user ", "let me think", "let me analy", "let's think", "i need to fig")
    ),
    *("okay, so i ", "alright, so i ", "hmm", "we need to answer", "we need to respond"),
    *("we are asked", "we are given", "thinking process", "thought process"),
    *("用户", "好的，用户", "好，用户", "嗯，", "首先，用户", "好的，我现在", "好，我现在"),
)
_LONGEST_OPENING: Final = max(map(len, _OPENINGS))

unopened: Final = Remembered()  # servers' models that leave out the opening tag


class StreamSplitter(ThinkSplitter):
    """Split a text that is passed on as it comes, perhaps before its closing tag is there.

    A text that begins as thoughts do counts as reasoning. If no closing tag follows, it is
    returned once more at the end, as text, so that no answer is lost.

    Args:
        is_unopened: whether the model is known to leave out the opening tag.
    """

    __slots__ = ("_is_unopened", "_pieces")

    def __init__(self, *, is_unopened: bool) -> None:
        super().__init__()
        self._is_unopened = is_unopened
        self._pieces: list[str] = []

    def feed(self, piece: str) -> tuple[str, str]:
        text = self._held + piece if self.state is State.START else piece
        split = super().feed(piece)
        if self.state is State.UNOPENED:
            self._pieces.append(text)
        return split

    def finish(self, reason: str | None = None) -> tuple[str, str]:
        if self.state is not State.UNOPENED:
            return super().finish(reason)
        held, self._held = self._held, ""
        pieces, self._pieces = self._pieces, []
        # A thought may be so long that nothing is left for the answer.
        is_cut = self._is_unopened and reason == "length"
        return held, "" if is_cut else "".join(pieces)

    def _untagged(self, start: str) -> State:
        opening = start[:_LONGEST_OPENING].lower()
        if self._is_unopened or opening.startswith(_OPENINGS):
            return State.UNOPENED
        is_short = len(start) < _LONGEST_OPENING
        may_follow = is_short and any(known.startswith(opening) for known in _OPENINGS)
        return State.START if may_follow else State.TEXT


def tidy_answer(body: dict[str, Any], model: Hashable) -> None:
    """Move the reasoning of a whole answer, and note whether its opening tag is missing."""
    messages = [choice["message"] for choice in choices_of(body)]
    if any(is_unopened(message.get("content") or "") for message in messages):
        unopened.add(model)
    tidy_thinking(body)


def thinking_stream_of(
    errors: ErrorMap, tidy: Tidy | None = None, *, tidies_shape: bool = False, model: Hashable
) -> Decoder:
    """Return a decoder like stream_of that takes the reasoning out of the text.

    Args:
        tidy: the provider's own repairs, made first.
        model: what identifies the server's model, to remember how it writes thoughts.
    """

    def tidy_whole(body: dict[str, Any]) -> bool:
        changed = tidy(body) if tidy is not None else False
        return tidy_thinking(body) or changed

    return ThinkTagDecoder(
        errors, tidy, tidies_shape=tidies_shape, tidy_whole=tidy_whole, model=model
    )


class ThinkTagDecoder(ChatDecoder):
    """Parse every chunk until the first choice is past its reasoning, then relay like
    ChatDecoder.
    """

    __slots__ = ("_is_inner_changed", "_last", "_model", "_splitters")

    def __init__(
        self,
        errors: ErrorMap,
        tidy: Tidy | None = None,
        *,
        tidies_shape: bool = False,
        tidy_whole: Tidy | None = None,
        model: Hashable,
    ) -> None:
        super().__init__(errors, tidy, tidies_shape=tidies_shape, tidy_whole=tidy_whole)
        self._is_inner_changed = False
        self._model = model
        self._splitters: dict[int, StreamSplitter] = {}
        self._last: dict[str, Any] = {}  # head of the last chunk

    def _tidy(self, chunk: dict[str, Any]) -> bool:
        self._is_inner_changed = changed = super()._tidy(chunk)
        self._last = chunk
        for choice in choices_of(chunk):
            index, delta = choice.get("index", 0), choice.get("delta")
            if isinstance(delta, dict) and isinstance(index, int):
                splitter = self._splitters.get(index) or self._new_splitter(index)
                reason = choice.get("finish_reason") or None
                before = splitter.state
                changed = self._split_delta(splitter, delta, reason) or changed
                if splitter.state is not before or not splitter.is_steady:
                    self._plain.forget()  # the next text means something else
        return changed

    def _new_splitter(self, index: int) -> StreamSplitter:
        self._splitters[index] = StreamSplitter(is_unopened=self._model in unopened)
        return self._splitters[index]

    def _split_delta(
        self, splitter: StreamSplitter, delta: dict[str, Any], reason: str | None
    ) -> bool:
        """Split one delta's content, and note whether the opening tag of a thought is missing."""
        before = splitter.state
        content = delta.get("content")
        if before is State.TEXT and isinstance(content, str) and CLOSE in content:
            if UNOPENED.search(content):
                unopened.add(self._model)
            return False
        changed = split_delta(splitter, delta, reason=reason)
        if before is State.UNOPENED and splitter.state is not before:
            unopened.add(self._model)
        elif before is State.UNOPENED and reason not in (None, "length"):
            unopened.discard(self._model)
        return changed

    def _teach(self, chunk: dict[str, Any], data: bytes, sent: bytes, *, tidied: bool) -> None:
        splitter = self._splitters.get(chunk["choices"][0]["index"])
        if splitter is not None and splitter.is_steady:
            stop = CLOSE if splitter.state is State.TEXT else "<"
            if self._tidies_shape or not self._is_inner_changed:
                self._plain.learn(data, sent, self._only_text(chunk), stop.encode())

    def _closing(self) -> list[Frame]:
        return [*self._rest(), *super()._closing()]

    def _rest(self) -> list[Frame]:
        """Send the text held back if a server ends its stream without a finish reason."""
        frames = []
        for index, splitter in self._splitters.items():
            delta: dict[str, Any] = {}
            if split_delta(splitter, delta, reason="stop"):
                choice = {"index": index, "delta": delta, "finish_reason": None}
                head = {"id": new_id(), **self._last, "choices": [choice]}
                head.pop("usage", None)
                self.output_characters += sum(map(len, delta.values()))
                frames.append(Frame(orjson.dumps(head), content=True))
        return frames


def split_delta(splitter: ThinkSplitter, delta: dict[str, Any], *, reason: str | None) -> bool:
    """Split one delta's content, and return whether it changed.

    Args:
        reason: the finish reason of the last delta.
    """
    if splitter.state is State.TEXT:
        return False
    if delta.get("reasoning_content"):
        reasoning, text = splitter.finish()
        held = text or reasoning
        splitter.settle()
        delta["content"] = held + (delta.get("content") or "")
        return bool(held)
    content = delta.get("content")
    reasoning, text = splitter.feed(content) if isinstance(content, str) else ("", "")
    if reason is not None:
        last_reasoning, last_text = splitter.finish(reason)
        reasoning, text = reasoning + last_reasoning, text + last_text
    if not reasoning and text == (content or ""):
        return False
    delta["content"] = text
    if reasoning:
        delta["reasoning_content"] = reasoning
    return True
