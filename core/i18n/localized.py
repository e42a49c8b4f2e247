"""Texts that carry their own translations, for declarations outside the message catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import lazy
from django.utils.translation import get_language

FALLBACK: Final = "en"


def localized(texts: Mapping[str, str]) -> Any:
    """Return a lazy text in the reader's language.

    Args:
        texts: Maps language codes, as in settings.LANGUAGES, to texts. English is required.
    """
    return _in_active_language(texts)


def _choose(texts: Mapping[str, str]) -> str:
    return texts.get(get_language() or FALLBACK) or texts[FALLBACK]


_in_active_language = lazy(_choose, str)
