"""Guess a model's type from its name, for model lists without types."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from providers.declaration.spec import ModelType

# In this order: a "bge-reranker" does not embed.
_HINTS: Final[tuple[tuple[ModelType | None, tuple[str, ...]], ...]] = (
    (ModelType.RERANK, ("rerank", "ranker")),
    (ModelType.EMBEDDING, ("embed", "bge-", "e5-", "gte-", "minilm")),
    (ModelType.SPEECH_TO_TEXT, ("whisper", "sensevoice", "asr", "transcribe")),
    (
        ModelType.TEXT_TO_SPEECH,
        ("tts", "kokoro", "cosyvoice", "parler", "fish-speech", "orpheus", "piper"),
    ),
    (ModelType.MODERATION, ("moderation",)),
    (None, ("sora",)),
    (
        ModelType.IMAGE,
        ("dall-e", "gpt-image", "stable-diffusion", "sdxl", "flux", "qwen-image", "z-image"),
    ),
)


def guess_by_name(offered: Collection[ModelType]) -> Callable[[str], ModelType | None]:
    """Make a function that guesses a model's type, or returns None if that type is not
    offered.
    """

    def guess(model: str) -> ModelType | None:
        name = model.lower()
        hints = (kind for kind, words in _HINTS if any(word in name for word in words))
        kind = next(hints, ModelType.REASONING)
        return kind if kind in offered else None

    return guess
