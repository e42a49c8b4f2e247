"""Real answers of providers: reference data beside the repository; MODELKEEP_RECORDED names the
folder.

A recording is `<folder>/<name>.meta.json` and the body it names: .json, .sse, or .chunks.txt (one
event's JSON per line).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from providers.declaration.spec import Reply

FOLDER = Path(
    os.environ.get("MODELKEEP_RECORDED")
    or Path(__file__).resolve().parents[3] / "shared" / "recorded"
)
ABSENT = f"the recordings are not at {FOLDER}; set MODELKEEP_RECORDED"
SLUGS = {"chatglm_zhipu": "chatglm"}  # folders that are not named after their provider


def present() -> bool:
    return FOLDER.is_dir()


def names() -> Iterator[tuple[str, str]]:
    """(provider's slug, name) of every recording."""
    for path in sorted(FOLDER.glob("*/*.meta.json")):
        folder = path.parent.name
        yield SLUGS.get(folder, folder), f"{folder}/{path.name.removesuffix('.meta.json')}"


def load(
    name: str, *, status: int | None = None, as_events: bool = False
) -> tuple[dict[str, Any], Reply]:
    """What is known of the recording, and its answer.

    status: where the recording does not know it (200 by default). as_events: lines of JSON, or a
    list, become an event stream.
    """
    meta: dict[str, Any] = json.loads((FOLDER / f"{name}.meta.json").read_text())
    response = meta["response"]
    body = (FOLDER / name).parent.joinpath(response["body_file"]).read_bytes()
    headers = {key.lower(): value for key, value in (response.get("headers") or {}).items()}
    headers.pop("content-encoding", None)
    if as_events or response["body_file"].endswith(".chunks.txt"):
        listed = body.lstrip().startswith(b"[")
        lines = (
            [json.dumps(item, ensure_ascii=False).encode() for item in json.loads(body)]
            if listed
            else body.splitlines()
        )
        body = b"".join(b"data: " + line + b"\n\n" for line in lines if line)
        headers["content-type"] = "text/event-stream"
    headers.setdefault(
        "content-type",
        "text/event-stream" if response["body_file"].endswith(".sse") else "application/json",
    )
    return meta, Reply(status or response.get("status") or 200, headers, body)


def is_stream(name: str) -> bool:
    return any((FOLDER / f"{name}{ending}").is_file() for ending in (".sse", ".chunks.txt"))
