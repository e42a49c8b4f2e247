"""A provider that also keeps message batches, in Anthropic's format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.provider import Reply, Seen, compact
from tests.fakes.storage import Kept, StorageProvider

MESSAGE_USAGE = {"input_tokens": 90, "cache_read_input_tokens": 10, "output_tokens": 20}


@dataclass
class MessageBatchProvider(StorageProvider):
    """Message batches end when `end` is called, with an answer to each request."""

    messages: dict[str, Kept] = field(default_factory=dict)
    asked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def end(self, *kinds: str) -> None:
        """End the last batch. `kinds`: of the first results, instead of succeeded."""
        identity, batch = list(self.messages.items())[-1]
        for number, request in enumerate(self.asked[identity]):
            result: dict[str, Any] = {"type": (kinds[number:] or ["succeeded"])[0]}
            if result["type"] == "succeeded":
                result["message"] = {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": request["params"]["model"],
                    "content": [{"type": "text", "text": "Hello"}],
                    "stop_reason": "end_turn",
                    "stop_sequence": None,
                    "usage": MESSAGE_USAGE,
                }
            elif result["type"] == "errored":
                error = {"type": "invalid_request_error", "message": "bad"}
                result["error"] = {"type": "error", "error": error, "request_id": None}
            batch.content += compact({"custom_id": request["custom_id"], "result": result}) + b"\n"
        url = f"https://api.anthropic.com/v1/messages/batches/{identity}/results"
        batch.said |= {"processing_status": "ended", "results_url": url}

    def _reply(self, seen: Seen, body: dict[str, Any]) -> Reply:
        path = seen.path.partition("?")[0]
        match = re.search(r"/messages/batches(?:/([^/]+))?(?:/(results|cancel))?$", path)
        if match is None:
            return super()._reply(seen, body)
        account, (identity, rest) = self._key(seen), match.groups()
        if not identity:
            return Reply(body=compact(self._begin_messages(account, body)))
        kept = self.messages.get(identity)
        if kept is None or kept.account != account:
            error = {"type": "not_found_error", "message": "No such batch"}
            return Reply(404, body=compact({"type": "error", "error": error}))
        if rest == "results":
            return Reply(content_type="application/x-jsonl", body=kept.content)
        if rest == "cancel":
            kept.said["processing_status"] = "canceling"
        if seen.method == "DELETE":
            del self.messages[identity]
            return Reply(body=compact({"id": identity, "type": "message_batch_deleted"}))
        return Reply(body=compact(kept.said))

    def _begin_messages(self, account: str, body: dict[str, Any]) -> dict[str, Any]:
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
        said = {
            "id": self._new_id("msgbatch_"),
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": len(body["requests"]), **counts},
            "created_at": "2026-09-24T18:37:24.100435Z",
            "expires_at": "2026-09-25T18:37:24.100435Z",
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        self.messages[said["id"]] = Kept(account, said)
        self.asked[said["id"]] = body["requests"]
        return said
