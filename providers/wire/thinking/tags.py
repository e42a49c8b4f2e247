"""Separate reasoning that a server leaves in the text between <think> and </think>."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any

from providers.wire.chat_answers import choices_of

OPEN, CLOSE = "<think>", "</think>"
MAX_BLANKS = 64  # whitespace characters allowed before the opening tag
# Some chat templates write the opening tag themselves, so that the text only holds the closing
# one, at the end of a line.
UNOPENED = re.compile(r"</think>[ \t]*(?:\n|\Z)")


class State(Enum):
    START = auto()  # only whitespace so far, or a part of the tag
    THINKING = auto()
    UNOPENED = auto()  # thinking without an opening tag, unless no closing one comes
    AFTER = auto()  # whitespace between the closing tag and the text
    TEXT = auto()


class ThinkSplitter:
    """Split the pieces of one text into reasoning and text, wherever they are cut.

    Only a tag at the very start counts: later ones are part of the answer. Whitespace next to the
    opening tag and after the closing one is dropped.
    """

    __slots__ = ("_held", "_thought", "state")

    def __init__(self) -> None:
        self.state = State.START
        self._held = ""  # possibly a part of a tag
        self._thought = False  # whether any reasoning was returned

    @property
    def is_steady(self) -> bool:
        """Tell whether what follows stays reasoning up to the next "<", or is text."""
        return self.state is State.TEXT or (
            self.state is State.THINKING and self._thought and not self._held
        )

    def settle(self) -> None:
        """Treat everything that follows as text: the server separates the reasoning itself."""
        self.state = State.TEXT

    def feed(self, piece: str) -> tuple[str, str]:
        """Return the (reasoning, text) that are certain after this piece."""
        text, self._held = self._held + piece, ""
        reasoning = ""
        if self.state is State.START:
            text = self._started(text)
        if self.state in (State.THINKING, State.UNOPENED):
            reasoning, text = self._thinking(text)
        if self.state is State.AFTER:
            text = text.lstrip()
            if text:
                self.state = State.TEXT
        return reasoning, text

    def finish(self, reason: str | None = None) -> tuple[str, str]:
        """Return the (reasoning, text) held back.

        Args:
            reason: the finish reason.
        """
        held, self._held = self._held, ""
        return (held, "") if self.state is State.THINKING else ("", held)

    def _started(self, text: str) -> str:
        start = text.lstrip()
        if len(text) - len(start) > MAX_BLANKS:
            self.state = State.TEXT
        elif start.startswith(OPEN):
            self.state = State.THINKING
            return start[len(OPEN) :]
        elif OPEN.startswith(start):
            self._held = text
            return ""
        else:
            self.state = self._untagged(start)
            if self.state is State.START:
                self._held = text
                return ""
        return text

    def _untagged(self, start: str) -> State:
        """Return the state of a text that begins with no tag; START to wait for more of it."""
        return State.TEXT

    def _thinking(self, text: str) -> tuple[str, str]:
        reasoning, tag, rest = text.partition(CLOSE)
        if tag:
            self.state = State.AFTER
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


def split_whole(text: str) -> tuple[str, str]:
    """Split like split_thinking, also if the opening tag is missing."""
    closing = UNOPENED.search(text)
    if closing is None or not is_unopened(text):
        return split_thinking(text)
    return text[: closing.start()].strip(), text[closing.end() :].lstrip()


def is_unopened(text: str) -> bool:
    """Tell whether a text holds the end of a thought but not its opening tag."""
    closing = UNOPENED.search(text)
    return closing is not None and OPEN not in text[: closing.start()]


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
