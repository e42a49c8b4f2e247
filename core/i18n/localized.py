"""Texts that bring their translations along, for declarations that the message catalog does not
know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import lazy
from django.utils.translation import get_language

FALLBACK: Final = "en"


def localized(texts: Mapping[str, str]) -> Any:
    """Return a lazy text that is shown in the reader's language.

    Args:
        texts: Language code, as in settings.LANGUAGES, to text. English must be among them.
    """
    return _in_active_language(texts)


def _choose(texts: Mapping[str, str]) -> str:
    return texts.get(get_language() or FALLBACK) or texts[FALLBACK]


_in_active_language = lazy(_choose, str)
