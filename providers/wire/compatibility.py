"""Fit OpenAI's chat requests to services that support a subset, by changing a copy of the
body.
"""

from __future__ import annotations

from typing import Any

import orjson

# Tokens by reasoning effort, for services that expect a number.
BUDGETS = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 32_000}


def use_max_tokens(body: dict[str, Any]) -> None:
    """Rename `max_completion_tokens` to the older `max_tokens`."""
    limit = body.pop("max_completion_tokens", None)
    if limit is not None:
        body["max_tokens"] = limit


def use_system_role(body: dict[str, Any]) -> None:
    """Replace `developer`, OpenAI's newer name, by `system`."""
    if isinstance(messages := body.get("messages"), list):
        body["messages"] = [
            {**message, "role": "system"}
            if isinstance(message, dict) and message.get("role") == "developer"
            else message
            for message in messages
        ]


def use_json_object(body: dict[str, Any]) -> None:
    """Replace json_schema by json_object, with the schema in a system message as guidance."""
    answer_format = body.get("response_format")
    if not isinstance(answer_format, dict) or answer_format.get("type") != "json_schema":
        return
    schema = (answer_format.get("json_schema") or {}).get("schema") or {}
    instruction = "Answer with one JSON object of this schema and nothing else: "
    text = instruction + orjson.dumps(schema).decode()
    body["response_format"] = {"type": "json_object"}
    body["messages"] = [{"role": "system", "content": text}, *(body.get("messages") or [])]


def thinking_budget(effort: str) -> int:
    """Return the tokens that an OpenAI `reasoning_effort` stands for; an unknown one is medium."""
    return BUDGETS.get("low" if effort == "minimal" else effort, BUDGETS["medium"])
