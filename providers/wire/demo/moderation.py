"""The demo's moderation, which flags nothing."""

from __future__ import annotations

from typing import Any

JUDGE_NOTE = "Demonstration: nothing is ever flagged, no model was called."
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def judgement() -> dict[str, Any]:
    """Build OpenAI's form of "not flagged"."""
    return {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
