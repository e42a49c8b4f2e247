"""The playground's pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers.declaration.spec import ModelType
from providers.operations.columns import complete
from providers.operations.table import MODEL_TYPES


@dataclass(frozen=True, slots=True)
class Tab:
    """A page, linked from the others.

    Args:
        type: The type of model that `?model=` selects.
        optional: Link the page only if there is a model of this type.
    """

    slug: str
    label: Any
    type: ModelType
    optional: bool = False

    @property
    def url_name(self) -> str:
        return MODEL_TYPES[self.type].playground


CHAT: Final = Tab("chat", _("Chat"), ModelType.REASONING)
EMBEDDINGS: Final = Tab("embeddings", _("Embeddings"), ModelType.EMBEDDING)
SPEECH: Final = Tab("speech", _("Speech"), ModelType.SPEECH_TO_TEXT)
RERANK: Final = Tab(
    "rerank", pgettext_lazy("playground", "Rerank"), ModelType.RERANK, optional=True
)
IMAGES: Final = Tab("images", _("Images"), ModelType.IMAGE)
TABS: Final = complete(
    __name__,
    [row.model_type for row in MODEL_TYPES.values() if row.playground],
    {tab.type: tab for tab in (CHAT, EMBEDDINGS, SPEECH, IMAGES, RERANK)},
)
