"""Fitting OpenAI's chat requests to services that know a part of them. Each function changes a
fresh copy of the body.
"""

from __future__ import annotations

from typing import Any

import orjson


def use_max_tokens(body: dict[str, Any]) -> None:
    """The older name of `max_completion_tokens`."""
    limit = body.pop("max_completion_tokens", None)
    if limit is not None:
        body["max_tokens"] = limit


def use_system_role(body: dict[str, Any]) -> None:
    """`developer` is OpenAI's newer name of `system`."""
    if isinstance(messages := body.get("messages"), list):
        body["messages"] = [
            {**message, "role": "system"}
            if isinstance(message, dict) and message.get("role") == "developer"
            else message
            for message in messages
        ]


def use_json_object(body: dict[str, Any]) -> None:
    """There is no json_schema: JSON is asked for, and the schema stands in a system message. It
    guides and does not bind.
    """
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return
    schema = (wanted.get("json_schema") or {}).get("schema") or {}
    text = f"Answer with one JSON object of this schema and nothing else: {orjson.dumps(schema).decode()}"
    body["response_format"] = {"type": "json_object"}
    body["messages"] = [{"role": "system", "content": text}, *(body.get("messages") or [])]
