"""A conversation through a client that returns nothing of an assistant's message but ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.answers import ThoughtIds
from gateway.dataplane.continuity.requests import with_thoughts
from gateway.dataplane.doors.interface import Carries
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Reply
from providers.wire.anthropic import decoding as anthropic
from providers.wire.anthropic.raw_events import block_events
from providers.wire.native.raw_events import event_of
from providers.wire.openai.responses import answers as responses
from providers.wire.openai.responses.native import events_of
from providers.wire.openai.responses.stream import ResponseDecoder
from tenants.crypto.keys import Seal
from tests.providers.driving import joined

ACME, GLOBEX = UUID(int=1), UUID(int=2)
Message = dict[str, Any]
Item = dict[str, Any]


def no_error(_reply: Reply) -> ProviderError | None:
    return None


class Streamed:
    """A decoder that was given a whole stream."""

    def __init__(self, decoder: Any, events: Sequence[bytes]) -> None:
        self.frames = [frame for event in events for frame in decoder.feed(event)]
        self.frames += decoder.finish()


def of_anthropic(blocks: Sequence[Item], *, streamed: bool) -> Answer | Streamed:
    message = {"id": "msg_1", "type": "message", "model": "m", "stop_reason": "tool_use"}
    if not streamed:
        return anthropic.answer_of({**message, "content": blocks})
    events = [event_of({"type": "message_start", "message": {**message, "content": []}})]
    for number, block in enumerate(blocks):
        events += block_events(number, block)
    events.append(event_of({"type": "message_stop"}))
    return Streamed(anthropic.MessageDecoder(no_error), events)


def of_openai(items: Sequence[Item], *, streamed: bool) -> Answer | Streamed:
    response = {"id": "resp_1", "model": "m", "status": "completed", "output": items}
    if not streamed:
        return responses.answer_of(response)
    return Streamed(ResponseDecoder(no_error), [event_of(event) for event in events_of(response)])


class Client:
    """Remembers texts and calls, as 16 of 17 frameworks do, and cuts ids.

    Args:
        stores: Whether the workspace has a store.
        longest: Characters of an id that the client keeps.
    """

    def __init__(self, *, stores: bool = False, longest: int = 615) -> None:
        self.rows: dict[str, str] = {}
        self._stores = stores
        self._longest = longest
        self.lost = False

    def hear(
        self, answer: Answer | Streamed, *, carries: Carries = Carries.NOTHING, texts: bool = False
    ) -> Message:
        """Return what the client keeps of an answer."""
        new_ids = ThoughtIds(Seal(ACME), carries=carries, stores=self._stores, texts=texts)
        if isinstance(answer, Answer):
            body = new_ids.answer(answer).body or {}
            message = body["choices"][0]["message"]
        else:
            frames = [new_ids.frames([frame])[0] for frame in answer.frames]
            message = joined([orjson.loads(frame.data) for frame in frames])
        self.rows |= {row.key: row.token for row in new_ids.taken_rows()}
        calls = [
            {"id": call["id"][: self._longest], "type": "function", "function": call["function"]}
            for call in message.get("tool_calls") or ()
        ]
        return {"role": "assistant", "content": message.get("content"), "tool_calls": calls}

    def ask(self, *turns: Message, tenant_id: UUID = ACME) -> Message:
        """Return the neutral body of the next request, with a result for each call."""
        messages: list[Message] = [{"role": "user", "content": "Hi"}]
        for turn in turns:
            messages.append(turn)
            messages += [
                {"role": "tool", "tool_call_id": call["id"], "content": "42"}
                for call in turn["tool_calls"]
            ]
        body = {"messages": messages, "tools": [{"type": "function", "function": {"name": "f"}}]}
        seal = Seal(tenant_id)
        thoughts = {name: self._opened(name, seal) for name in ids.ids_in(orjson.dumps(body))}
        restored, self.lost = with_thoughts(body, thoughts)
        return restored

    def _opened(self, identity: str, seal: Seal) -> ids.Thought | None:
        if (key := ids.key_in(identity)) is None:
            return ids.opened(identity, seal)
        return ids.opened_row(key, self.rows.get(key), seal)
