"""What vendors keep between requests: OpenAI the items of its answers, Anthropic whole threads.

See https://platform.openai.com/docs/guides/conversation-state and the types of Anthropic's SDK.
"""

from __future__ import annotations

import json

from tests.fakes.provider import Reply
from tests.fakes.scripted.plan import Turn
from tests.fakes.scripted.responses import items_of
from tests.fakes.scripted.schemas import JsonObject


class Memory:
    def __init__(self) -> None:
        self._items: dict[str, JsonObject] = {}
        self._threads: dict[str, JsonObject] = {}

    def completed(self, body: JsonObject) -> JsonObject:
        """Return a request with what it refers to, as far as that was kept."""
        if "input" in body:
            return {**body, "input": [self._item(item) for item in items_of(body)]}
        thread = body.get("thread") or {}
        before = self._threads.get(thread.get("previous_message_id", ""))
        if before is None:
            return body
        return {**before, **body, "messages": before["messages"] + body["messages"]}

    def _item(self, item: JsonObject) -> JsonObject:
        is_whole = item.get("type") not in ("item_reference", "reasoning")
        if is_whole or item.get("encrypted_content"):
            return item
        return self._items.get(item.get("id", ""), item)

    def keep(self, body: JsonObject, turn: Turn, reply: Reply) -> None:
        """Note an answer that a later request may refer to."""
        if "input" in body and body.get("store") is not False:
            for item in _answer_of(reply)["output"]:
                thought = {"encrypted_content": turn.thought} if item["type"] == "reasoning" else {}
                self._items[item["id"]] = {**item, **thought}
        elif body.get("thread") and not body.get("stream"):
            answer = _answer_of(reply)
            said = {"role": "assistant", "content": answer["content"]}
            self._threads[answer["id"]] = {**body, "messages": [*body["messages"], said]}


def _answer_of(reply: Reply) -> JsonObject:
    written = reply.frames[-1].partition(b"data: ")[2] if reply.frames else reply.body
    answer: JsonObject = json.loads(written)
    return answer.get("response", answer)
