"""Anthropic's list of models."""

from __future__ import annotations

from typing import Any

from providers.declaration.spec import ListedModel, ModelType


def listed_model(row: dict[str, Any]) -> ListedModel:
    """Convert a row of GET /v1/models, which contains features, limits and dates."""
    can = row.get("capabilities")
    return ListedModel(
        row["id"],
        ModelType.REASONING,
        label=str(row.get("display_name") or ""),
        context_window=_positive(row.get("max_input_tokens")),
        max_output=_positive(row.get("max_tokens")),
        features=_features(can) if isinstance(can, dict) else None,
        retires=str(row.get("retires_at") or "")[:10],
    )


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


_ABILITIES = {
    "vision": ("image_input",),
    "pdf": ("pdf_input",),
    "json_schema": ("structured_outputs",),
    "reasoning": ("thinking",),
    "adaptive_thinking": ("thinking", "types", "adaptive"),
    "thinking_budget": ("thinking", "types", "enabled"),
}


def _features(can: dict[str, Any]) -> frozenset[str]:
    return frozenset(
        {"tools"} | {feature for feature, path in _ABILITIES.items() if _is_supported(can, path)}
    )


def _is_supported(can: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        can = can.get(name) if isinstance(can, dict) else None
    return isinstance(can, dict) and can.get("supported") is True
