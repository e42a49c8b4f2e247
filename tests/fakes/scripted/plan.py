"""What a scripted model says next. The text of the last user message tells it:

    CALL:<tool>:<JSON>END   calls that tool with those arguments; several are called one after the
                            other, each once the one before has its result
    SAY:<text>END           says that text
    FAIL:<status>           fails with that status

Without a script it fills in the schema that is asked for, calls the tool that must be called, or
says TEXT.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.scripted.schemas import JsonObject, instance

TEXT = "The quick brown fox."
_CALL = re.compile(r"CALL:([\w.-]+):(\{.*?\})END", re.DOTALL)
# Some frameworks give a tool's result as the user's message.
_OBSERVATION = "Observation:"
# Bytes of a thought that fits into the ID of a call, and of one that doesn't.
_SHORT, _LONG = 120, 900
# Tools by which a framework is told its final answer.
_FINAL = re.compile(r"final|submit|finish", re.IGNORECASE)


@dataclass(frozen=True)
class Tool:
    """schema: None for a tool that takes a text. namespace: the group that holds it, if any."""

    name: str
    schema: JsonObject | None
    namespace: str = ""


@dataclass
class Conversation:
    """What a request says, whatever its format.

    texts: the user's messages. results: of tools, since the last message with a script.
    choice: "", "none", "required" or a tool's name. thoughts: what of earlier reasoning came back.
    """

    texts: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    tools: dict[str, Tool] = field(default_factory=dict)
    choice: str = ""
    schema: JsonObject | None = None
    json_object: bool = False
    thinks: bool = False
    thoughts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        if text.startswith(_OBSERVATION):
            self.results.append(text.removeprefix(_OBSERVATION).strip())
            return
        self.texts.append(text)
        if _CALL.search(text):
            self.results.clear()

    @property
    def script(self) -> str:
        """The last message with a call in it, else the last message."""
        scripted = [text for text in self.texts if _CALL.search(text)]
        return (scripted or self.texts or [""])[-1]


@dataclass(frozen=True)
class Call:
    tool: Tool
    arguments: JsonObject

    @property
    def text(self) -> str:
        """The arguments, as they are written."""
        return json.dumps(self.arguments)

    @property
    def input(self) -> str:
        """What a tool without a schema is given."""
        return str(self.arguments.get("input", ""))


@dataclass(frozen=True)
class Turn:
    """thought: what must come back unchanged with the tool's result; empty if it doesn't think."""

    text: str = ""
    call: Call | None = None
    thought: str = ""


def thought_of(script: str, step: int) -> str:
    """Return letters that only this step of this script has: few and many in turns."""
    digest = hashlib.shake_256(f"{step}:{script}".encode()).digest(_LONG if step % 2 else _SHORT)
    return base64.b64encode(digest).decode()


def next_turn(conversation: Conversation) -> Turn:
    call = _next_call(conversation)
    thought = (
        thought_of(conversation.script, len(conversation.results)) if conversation.thinks else ""
    )
    if call is not None:
        return Turn(call=call, thought=thought)
    return Turn(text=_text(conversation), thought=thought)


def _next_call(conversation: Conversation) -> Call | None:
    tools, done = conversation.tools, len(conversation.results)
    planned = [call for call in _CALL.findall(conversation.script) if call[0] in tools]
    if done < len(planned) and conversation.choice != "none":
        name, arguments = planned[done]
        return Call(tools[name], _arguments(arguments))
    final = next((name for name in tools if _FINAL.match(name)), "")
    name = conversation.choice if conversation.choice in tools else final
    if not name and conversation.choice == "required":
        name = next(iter(tools))
    return Call(tools[name], instance(tools[name].schema or {}) or {}) if name else None


def _arguments(written: str) -> JsonObject:
    # Some agents write the user's text into JSON of their own.
    try:
        return dict(json.loads(written))
    except ValueError:
        return dict(json.loads(written.replace('\\"', '"')))


def _text(conversation: Conversation) -> str:
    said = re.search(r"SAY:(.*?)(?:END|$)", conversation.script, re.DOTALL)
    if said and not conversation.results:
        return said[1].strip()
    if conversation.schema is not None:
        return json.dumps(instance(conversation.schema))
    if conversation.json_object:
        return json.dumps(_fields(" ".join(conversation.texts)))
    if conversation.results:
        return f"The tools said: {' | '.join(conversation.results)}{_kept(conversation)}"
    return TEXT


def _fields(prompt: str) -> dict[str, Any]:
    """Fill in the fields that a prompt names in backquotes, as prompts for JSON do."""
    return dict.fromkeys(re.findall(r"`(\w+)`", prompt), "forty-two") or {"answer": "forty-two"}


def _kept(conversation: Conversation) -> str:
    if not conversation.thinks:
        return ""
    sent = [thought_of(conversation.script, step) for step in range(len(conversation.results))]
    kept = sum(thought in conversation.thoughts for thought in sent)
    return f" (thoughts kept: {kept} of {len(sent)})"
