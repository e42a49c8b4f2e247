"""The signature under thoughts of providers that sign none, so that clients send them back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

OWN_SIGNATURE: Final = base64.b64encode(b"modelkeep:unsigned").decode()


def is_own_thought(block: Any) -> bool:
    """Tell whether a content block is a thought that no provider has signed."""
    return (
        isinstance(block, dict)
        and block.get("type") == "thinking"
        and block.get("signature") == OWN_SIGNATURE
    )


def has_own_thoughts(body: Mapping[str, Any]) -> bool:
    return any(
        is_own_thought(block)
        for message in body.get("messages") or ()
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for block in message["content"]
    )


def without_own_thoughts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a request in Anthropic's format without such thoughts, and turns of nothing else."""
    messages = [_without(message) for message in body.get("messages") or ()]
    return {**body, "messages": [message for message in messages if message is not None]}


def _without(message: Any) -> Any:
    blocks = message.get("content") if isinstance(message, dict) else None
    if not isinstance(blocks, list) or not any(map(is_own_thought, blocks)):
        return message
    rest = [block for block in blocks if not is_own_thought(block)]
    return {**message, "content": rest} if rest else None
