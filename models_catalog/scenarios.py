"""The usage scenarios that have a default model, one row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers.declaration.spec import ModelType, Operation
from providers.operations.columns import complete
from providers.operations.table import OPERATIONS


@dataclass(frozen=True, slots=True)
class Scenario:
    """A use for which a workspace chooses a default model.

    Attributes:
        slug: Identifier in the API and in rows.
        default_name: The default model as named within a sentence.
        type: The model type it needs.
        aliases: Other names that API clients may send.
        warning: What to know before changing the default.
        without: The consequence of having no default.
    """

    slug: str
    label: Any
    default_name: Any
    description: Any
    type: ModelType
    aliases: tuple[str, ...] = ()
    warning: Any = ""
    without: Any = ""


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "reasoning",
        _("System reasoning model"),
        _("the default reasoning model"),
        _("Chat, conversation names, next-question suggestions."),
        ModelType.REASONING,
        ("chat", "system-reasoning"),
    ),
    Scenario(
        "embedding",
        _("Embedding model"),
        _("the default embedding model"),
        _("Documents and questions in datasets."),
        ModelType.EMBEDDING,
        ("embeddings",),
        warning=_(
            "Vectors of different models cannot be compared. "
            "After you change this model, index your documents again."
        ),
    ),
    Scenario(
        "speech-to-text",
        _("Speech-to-text model"),
        _("the default speech-to-text model"),
        _("Voice input."),
        ModelType.SPEECH_TO_TEXT,
        ("speech_to_text", "stt"),
        without=_("No default speech-to-text model. Voice input is off until you choose one."),
    ),
    Scenario(
        "rerank",
        _("Rerank model"),
        _("the default rerank model"),
        _("Ordering of search results."),
        ModelType.RERANK,
    ),
    Scenario(
        "text-to-speech",
        _("Text-to-speech model"),
        _("the default text-to-speech model"),
        _("Spoken answers."),
        ModelType.TEXT_TO_SPEECH,
        ("text_to_speech", "tts"),
    ),
    Scenario(
        "moderation",
        pgettext_lazy("model type", "Moderation model"),
        _("the default moderation model"),
        _("Checking of texts."),
        ModelType.MODERATION,
    ),
    Scenario(
        "image",
        _("Image generation model"),
        _("the default image generation model"),
        _("Making and changing images."),
        ModelType.IMAGE,
        ("images", "image-generation", "image_generation"),
    ),
)
# Stands for the scenario of the operation: reasoning for chats, embedding for vectors.
ANY_DEFAULT = "default"

_BY_NAME: dict[str, Scenario] = {
    name: scenario for scenario in SCENARIOS for name in (scenario.slug, *scenario.aliases)
}
_BY_TYPE = complete(__name__, ModelType, {scenario.type: scenario for scenario in SCENARIOS})


def find(name: str) -> Scenario | None:
    """Return the scenario with this slug or alias, or None."""
    return _BY_NAME.get(name)


def of_operation(operation: Operation) -> Scenario:
    """Return the scenario whose default model serves this operation."""
    return _BY_TYPE[OPERATIONS[operation].model_type]
