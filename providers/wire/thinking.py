"""Reasoning effort as a number of tokens, for formats that expect one."""

from __future__ import annotations

BUDGETS = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 32_000}  # tokens


def thinking_budget(effort: str) -> int:
    """Return the tokens that an OpenAI `reasoning_effort` stands for; an unknown one is medium."""
    return BUDGETS.get("low" if effort == "minimal" else effort, BUDGETS["medium"])
