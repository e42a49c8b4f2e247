"""A server that plays OpenAI, Anthropic, DeepSeek and TONGYI with a model that follows a script:
for whole programs, which call tools and go on with what these return.

    python -m tests.fakes.scripted.provider --port 9002

Each vendor has its own address, `/openai/v1`, `/anthropic/v1` and so on, and refuses what the
vendor refuses (see strict.py). What the model does is told in the conversation (see plan.py).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from dataclasses import dataclass
from typing import Any

from tests.fakes.provider import FakeProvider, Reply, Seen, error_body
from tests.fakes.scripted import chat, messages, responses
from tests.fakes.scripted.memory import Memory
from tests.fakes.scripted.plan import Conversation, next_turn
from tests.fakes.scripted.strict import complaint

_FORMATS: dict[str, Any] = {
    "/chat/completions": chat,
    "/messages": messages,
    "/responses": responses,
}
_FAIL = re.compile(r"FAIL:(\d{3})")


@dataclass
class ScriptedProvider(FakeProvider):
    """Answers conversations by their script, and everything else as a FakeProvider does.

    refused: what a vendor would not have taken, with the vendor's name.
    """

    def __post_init__(self) -> None:
        self.refused: list[str] = []
        self._memory = Memory()

    def reset(self) -> None:
        super().reset()
        self.refused.clear()

    def address(self, vendor: str) -> str:
        return f"{self.url}/{vendor}/v1"

    def _reply(self, seen: Seen, body: dict[str, Any]) -> Reply:
        path = seen.path.partition("?")[0]
        format = next((module for end, module in _FORMATS.items() if path.endswith(end)), None)
        if format is None:
            return super()._reply(seen, body)
        vendor = path.split("/")[1]
        body = self._memory.completed(body)
        if refusal := complaint(vendor, format.__name__.rpartition(".")[2], body):
            self.refused.append(f"{vendor}: {refusal}")
            return Reply(400, body=error_body(format is messages, 400, "", refusal))
        conversation: Conversation = format.read(body)
        if failure := _FAIL.search(conversation.script):
            status = int(failure[1])
            return Reply(status, body=error_body(format is messages, status, "", "no key"))
        turn = next_turn(conversation)
        reply: Reply = format.write(turn, body)
        self._memory.keep(body, turn, reply)
        return reply


async def main(options: argparse.Namespace) -> None:
    fake = ScriptedProvider(port=options.port)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", options.port, limit=32 * 2**20)
    sys.stdout.write(f"scripted provider on http://127.0.0.1:{options.port}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local server that plays a scripted provider.")
    parser.add_argument("--port", type=int, default=9002)
    asyncio.run(main(parser.parse_args()))
