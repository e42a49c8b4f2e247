"""Fit converted requests to a model: their clients send what they know of another provider's."""

from __future__ import annotations

from typing import Any, Final

from providers.declaration.spec import ModelFacts

_LIMITS: Final = ("max_tokens", "max_completion_tokens")


def fitted(body: dict[str, Any], facts: ModelFacts) -> dict[str, Any]:
    """Return a neutral body that asks for no more than the model can do.

    A limit of tokens becomes at most the model's own, and thinking is switched off only where it
    can be, and on only where there is any: other models would refuse the call.
    """
    changed = {
        name: facts.max_output
        for name in _LIMITS
        if facts.max_output and _exceeds(body.get(name), facts.max_output)
    }
    body = {**body, **changed} if changed else body
    needed = "thinking" if body.get("reasoning_effort") == "none" else "reasoning"
    if "reasoning_effort" in body and _lacks(facts, needed):
        body = {name: value for name, value in body.items() if name != "reasoning_effort"}
    return body


def _lacks(facts: ModelFacts, feature: str) -> bool:
    """Tell whether a model lacks a feature. Of an unknown one, no more is known than its name."""
    return feature not in facts.features and (bool(facts.features) or feature == "thinking")


def _exceeds(value: Any, limit: int) -> bool:
    return isinstance(value, int) and value > limit
