"""A provider that keeps files and batches, in OpenAI's format; each key is an account."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.provider import FakeProvider, Reply, Seen, compact

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


@dataclass
class Kept:
    """A file or a batch of an account."""

    account: str
    said: dict[str, Any]
    content: bytes = b""


@dataclass
class StorageProvider(FakeProvider):
    """Batches finish when `finish` is called.

    Args:
        gives_id: The next file's or batch's id, instead of a new one.
        output: What the next batch writes, instead of an answer to each line.
    """

    files: dict[str, Kept] = field(default_factory=dict)
    batches: dict[str, Kept] = field(default_factory=dict)
    gives_id: str = ""
    output: bytes = b""
    number: int = 0

    def finish(self, batch_id: str = "", status: str = "completed") -> None:
        """End a batch, by default the last one, and write its output."""
        batch = self.batches[batch_id or list(self.batches)[-1]]
        lines = self.files[batch.said["input_file_id"]].content.splitlines()
        content = self.output or b"".join(self._answered(json.loads(line)) for line in lines)
        output = self._keep_file(batch.account, "batch_output", "output.jsonl", content)
        batch.said |= {"status": status, "output_file_id": output["id"], "completed_at": 1790003600}
        self.output = b""

    def _answered(self, line: dict[str, Any]) -> bytes:
        body = {"id": "chatcmpl-1", "model": line["body"]["model"] + "-2026-01-01", "usage": USAGE}
        response = {"status_code": 200, "request_id": "req", "body": body}
        return (
            compact(
                {"id": "r", "custom_id": line["custom_id"], "response": response, "error": None}
            )
            + b"\n"
        )

    def _reply(self, seen: Seen, body: dict[str, Any]) -> Reply:
        path = seen.path.partition("?")[0]
        match = re.search(r"/(files|batches)(?:/([^/]+))?(?:/(content|cancel))?$", path)
        if match is None:
            return super()._reply(seen, body)
        kind, identity, rest = match.groups()
        account = self._key(seen)
        if not identity and seen.method == "GET":
            return Reply(body=compact(self._listed(account)))
        if not identity:
            made = self._upload(account, seen) if kind == "files" else self._begin(account, body)
            return Reply(body=compact(made))
        kept = (self.files if kind == "files" else self.batches).get(identity)
        if kept is None or kept.account != account:
            error = {"message": f"No such {kind}: {identity}", "type": "invalid_request_error"}
            return Reply(404, body=compact({"error": error}))
        if rest == "content":
            return Reply(content_type="application/octet-stream", body=kept.content)
        if rest == "cancel":
            kept.said["status"] = "cancelled"
        if seen.method == "DELETE":
            del self.files[identity]
            return Reply(body=compact({"id": identity, "object": "file", "deleted": True}))
        return Reply(body=compact(kept.said))

    def _listed(self, account: str) -> dict[str, Any]:
        said = [kept.said for kept in self.batches.values() if kept.account == account]
        return {"object": "list", "data": said[::-1], "has_more": False}

    def _new_id(self, prefix: str) -> str:
        self.number += 1
        given, self.gives_id = self.gives_id, ""
        return given or f"{prefix}{self.number:06d}"

    def _upload(self, account: str, seen: Seen) -> dict[str, Any]:
        boundary = b"--" + seen.headers["content-type"].partition("boundary=")[2].encode()
        fields: dict[str, bytes] = {}
        filename = ""
        for part in seen.body.split(boundary)[1:-1]:
            head, _blank, content = part[2:-2].partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]+)"', head)
            assert name is not None
            fields[name[1].decode()] = content
            if named := re.search(rb'filename="([^"]+)"', head):
                filename = named[1].decode()
        return self._keep_file(account, fields["purpose"].decode(), filename, fields["file"])

    def _keep_file(
        self, account: str, purpose: str, filename: str, content: bytes
    ) -> dict[str, Any]:
        said = {
            "id": self._new_id("file-"),
            "object": "file",
            "bytes": len(content),
            "created_at": 1790000000,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[said["id"]] = Kept(account, said, content)
        return said

    def _begin(self, account: str, body: dict[str, Any]) -> dict[str, Any]:
        said = {
            "id": self._new_id("batch_"),
            "object": "batch",
            "created_at": 1790000000,
            "status": "in_progress",
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": 1, "completed": 0, "failed": 0},
            **body,
        }
        self.batches[said["id"]] = Kept(account, said)
        return said
